package journal

import (
	"bytes"
	"cmp"
	"slices"
)

// again 把落盘失败的帧再写一遍：失败之后内核把那几页当作干净的，随时可以丢掉，再试的“成功”什么也不说明；
// 趁还读得出，写到新的段里。记录的序号不变；还在进行的请求并成一帧。写不完的下次接着来。
func (d *disk) again() {
	d.mu.Lock()
	list := slices.Clone(d.rewrite)
	d.mu.Unlock()
	for _, r := range list {
		if !d.copyRecords(r) || !d.carryIf(func(s *ticketSlot) bool { return s.base <= r.last && s.latest >= r.first }) {
			return
		}
		d.mu.Lock()
		d.rewrite = d.rewrite[1:]
		d.mu.Unlock()
	}
}

// copyRecords 把 r 里的记录再写一遍；已经再写过的不再写。
func (d *disk) copyRecords(r run) bool {
	done := true
	_ = d.log.Read(r.first, func(index uint64, b []byte) bool {
		if index > r.last {
			return false
		}
		f, ok := parseRecord(b)
		if !ok || broken(bugNotCopied) {
			return true
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		s := d.byEpoch(f.epoch)
		if s == nil {
			return true
		}
		if at := s.copyOf(f.seq); at.seq == f.seq && at.frame > r.last {
			return true
		}
		again := bytes.Clone(b)
		again[0] = kindCopy
		frame, err := d.append(again)
		if err != nil {
			done = false
			return false
		}
		s.copied(f.seq, frame)
		return true
	})
	return done
}

// byEpoch 是一个 epoch 的那一份；不在了为 nil。要拿着 mu。
func (d *disk) byEpoch(epoch uint64) *series {
	for _, s := range d.every() {
		if s.epoch == epoch {
			return s
		}
	}
	return nil
}

// copied 记下序号 seq 的又在 frame 那一帧写了一遍；后来的代替先前的。要拿着 mu。
func (s *series) copied(seq, frame uint64) {
	i, found := s.findCopy(seq)
	if found {
		s.copies[i].frame = frame
		return
	}
	s.copies = slices.Insert(s.copies, i, point{seq, frame})
	if s.first == 0 || seq < s.first {
		s.first = seq
	}
}

func (s *series) findCopy(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(s.copies, seq, func(p point, seq uint64) int { return cmp.Compare(p.seq, seq) })
}

// copyOf 是 seq 的又一份，没有就是其后头一个有的；都没有是零值。要拿着 mu。
func (s *series) copyOf(seq uint64) point {
	if i, _ := s.findCopy(seq); i < len(s.copies) {
		return s.copies[i]
	}
	return point{}
}
