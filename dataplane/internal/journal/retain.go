package journal

import (
	"slices"
	"time"

	"go.uber.org/zap"
)

// keeper 是留多久的账，由 disk.mu 守着。
type keeper struct {
	mark   bool    // 该写一个标记了
	moving *series // 要搬到新的 epoch 去的
	due    time.Time
	passed []passage // 每秒一个：那时哪一帧以前的都已确认
	drop   uint64    // 决定要删到哪一帧以前
	after  uint64    // 等这一帧落了盘才删；0 即没有要删的
}

// passage 说 at 那一刻，frame 以前的都已确认。
type passage struct {
	at    time.Time
	frame uint64
}

// forget 在数据库回到过去之后重新算起。
func (k *keeper) forget() { k.passed, k.drop, k.after = nil, 0, 0 }

// retain 每秒一次：删掉确认过而又留够了的段。先写标记与还在进行的请求的开头，等它们落盘，再删。
func (d *disk) retain(now time.Time) {
	d.mu.Lock()
	if now.Before(d.keep.due) {
		d.mu.Unlock()
		return
	}
	d.keep.due = now.Add(min(time.Second, d.cfg.KeepFor/10+time.Millisecond))
	if d.keep.after == 0 {
		before := d.expired(now)
		d.mu.Unlock()
		if before > 0 && d.carry(before) {
			d.settleDrop(before)
		}
		return
	}
	before, ready := d.keep.drop, d.log.Synced() >= d.keep.after
	d.mu.Unlock()
	if ready {
		d.dropTo(before)
	}
}

// expired 是可以删到哪一帧以前；没有一整段可删的为 0。要拿着 mu。
func (d *disk) expired(now time.Time) uint64 {
	acked := d.log.Stats().Last + 1
	for _, s := range d.every() {
		if s.acked < s.last && !broken(bugDropBeforeAck) {
			acked = min(acked, max(s.frameOf(s.acked+1), 1))
		}
	}
	k := &d.keep
	k.passed = append(k.passed, passage{now, acked})
	var old uint64
	for len(k.passed) > 1 && now.Sub(k.passed[0].at) >= d.cfg.KeepFor {
		old = k.passed[0].frame
		k.passed = k.passed[1:]
	}
	if d.trouble != nil { // 开头搬不走
		acked = min(acked, d.tickets.oldest(acked))
	}
	return d.droppable(min(old, acked), acked)
}

// droppable 是按期限（old 以前的）与字节（acked 以前的至多留 KeepBytes）算，可以删到哪一帧以前。
func (d *disk) droppable(old, acked uint64) (before uint64) {
	spans := d.log.Spans()
	var kept int64
	for _, s := range spans {
		if s.Last < acked {
			kept += s.Bytes
		}
	}
	for _, s := range spans[:max(0, len(spans)-1)] {
		if s.Last >= acked || s.Last >= old && kept <= d.keepBytes() {
			break
		}
		kept -= s.Bytes
		before = s.Last + 1
	}
	return before
}

// keepBytes 不超过配额的四分之一：留着备用的不该挤掉新的。
func (d *disk) keepBytes() int64 {
	if q := d.cfg.Segments.Quota; q > 0 {
		return min(d.cfg.KeepBytes, q/4)
	}
	return d.cfg.KeepBytes
}

// carry 把 before 以前开头而还在进行的请求，到此为止的并成一帧写在后面；没有写成的返回 false，下次再来。
func (d *disk) carry(before uint64) bool {
	if broken(bugOpenDropped) {
		return true
	}
	return d.carryIf(func(s *ticketSlot) bool { return s.base < before })
}

// carryIf 把合乎 match 的进行中的请求，到此为止的并成一帧写在后面。开头已经读不出来的放过：没有什么可搬。
func (d *disk) carryIf(match func(*ticketSlot) bool) bool {
	d.mu.Lock()
	open := d.tickets.which(match)
	from := d.tickets.oldest(d.log.Stats().Last)
	d.mu.Unlock()
	if len(open) == 0 {
		return true
	}
	found := map[uint64]*opened{}
	_ = d.log.Read(from, func(index uint64, b []byte) bool {
		if len(b) < ticketHead || b[0] > kindProgress || open[get64(b[1:])] == nil {
			return true
		}
		id := get64(b[1:])
		if o, err := found[id].after(b); err == nil && o != nil {
			o.latest = index
			found[id] = o
		}
		return true
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	done := true
	for id, slot := range d.tickets.which(match) {
		o := found[id]
		switch {
		case o == nil:
		case o.latest != slot.latest: // 其间又有一件事
			done = false
		default:
			frame, err := d.append(o.frame(id))
			if err != nil {
				return false
			}
			slot.base, slot.latest = frame, frame
		}
	}
	return done
}

// settleDrop 使各份写到了哪里在留下的里面查得到，记下等它落盘之后删。配额用满时写不进标记，
// 而腾地方正要靠它：留下的里面本来就查得到的，不写也行。
func (d *disk) settleDrop(before uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var after uint64
	for _, s := range d.every() {
		if d.trouble == nil {
			_, _ = d.mark(s)
		}
		if s.latest < before || s.marked < before && (s.sealed || len(s.gaps) > 0) {
			return
		}
		after = max(after, s.latest)
	}
	d.keep.drop, d.keep.after = before, after
}

// dropTo 删掉 before 以前的段。其间数据库回到了过去的话，重新算过再说。
func (d *disk) dropTo(before uint64) {
	d.mu.Lock()
	ok := d.keep.drop == before
	d.keep.drop, d.keep.after = 0, 0
	d.mu.Unlock()
	if !ok {
		return
	}
	if err := d.log.Drop(before); err != nil {
		d.cfg.Log.Warn("acknowledged usage could not be removed from disk", zap.Error(err))
	}
	d.forgetBefore(d.log.Stats().First)
}

// forgetBefore 使各份知道 frame 以前的没有了。
func (d *disk) forgetBefore(frame uint64) {
	firsts := map[uint64]uint64{}
	d.mu.Lock()
	want := 1 + len(d.old)
	d.mu.Unlock()
	_ = d.log.Read(frame, func(_ uint64, b []byte) bool {
		if f, ok := parseRecord(b); ok && firsts[f.epoch] == 0 {
			firsts[f.epoch] = f.seq
		}
		return len(firsts) < want
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.old[:0:0]
	for _, s := range d.every() {
		s.first = firsts[s.epoch]
		i := 0
		for i < len(s.points) && s.points[i].frame < frame {
			i++
		}
		s.points = append([]point(nil), s.points[i:]...)
		s.copies = slices.DeleteFunc(slices.Clone(s.copies), func(c point) bool { return c.frame < frame })
		if s != d.cur && (s.first != 0 || s.acked < s.end()) {
			kept = append(kept, s)
		}
	}
	d.old = kept
}
