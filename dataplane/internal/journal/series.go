package journal

import (
	"cmp"
	"slices"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// series 是盘上一个 epoch 的记录序列；字段由 disk.mu 守着。
type series struct {
	d     *disk
	epoch uint64
	wake  chan struct{}

	first  uint64 // 还在盘上的最小序号；0 即一条也没有
	last   uint64
	totals Totals // 到 last 为止，不含 lost
	points []point
	acked  uint64
	handed uint64
	marks  checkpoints // 各批末尾的累计，连同 lost
	gaps   []run       // 交出过的洞：控制面的累计里有它们的 lost
	copies []point     // 再写了一遍的，按序号
	told   uint64      // 写下 gaps 的标记在哪一帧；0 即还没有写
	sealed bool        // 不再写
	tail   uint64      // 封住的那一份，last 之后至多还有几条读不出来
	start  uint64      // 这一次运行之前写到了哪里
	latest uint64      // 最近一条记录或标记在哪一帧：凭它知道写到了哪里
	marked uint64      // 最近一个标记在哪一帧
}

// point 是稀疏的目录：序号 seq 的记录在哪一帧。
type point struct{ seq, frame uint64 }

const pointEvery = 256

func (d *disk) newSeries(epoch uint64) *series {
	return &series{d: d, epoch: epoch, wake: make(chan struct{}, 1)}
}

// wrote 记下写好了的一条。要拿着 mu。
func (s *series) wrote(seq, frame uint64, totals Totals) {
	if s.first == 0 {
		s.first = seq
	}
	s.last, s.totals, s.latest = seq, totals, frame
	if n := len(s.points); n == 0 || seq-s.points[n-1].seq >= pointEvery {
		s.points = append(s.points, point{seq, frame})
	}
	if s.last-min(s.handed, s.last) >= uint64(s.d.cfg.WakeAt) {
		signal(s.wake)
	}
}

// frameOf 是不晚于 seq 那条记录的一帧；0 即从头找。要拿着 mu。
func (s *series) frameOf(seq uint64) uint64 {
	i, found := slices.BinarySearchFunc(s.points, seq, func(p point, seq uint64) int { return cmp.Compare(p.seq, seq) })
	if !found {
		i--
	}
	if i < 0 {
		return 0
	}
	return s.points[i].frame
}

func (s *series) Epoch() uint64 { return s.epoch }

func (s *series) Durable() bool { return true }

func (s *series) Wake() <-chan struct{} { return s.wake }

func (s *series) end() uint64 { return s.last + s.tail }

// Stats 返回此刻的数目。
func (s *series) Stats() Stats {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	st := Stats{FirstSeq: s.first, LastSeq: s.end(), AckedSeq: s.acked, Unreported: int64(s.end() - s.acked)}
	if s.first == 0 {
		st.FirstSeq = s.last + 1
	}
	return st
}

// Acked 见 Source。控制面知道的比我们写下的还多，是这个目录回到了过去：那些序号再给别人，就会当作重复丢掉，
// 所以换一个 epoch 接着写。
func (s *series) Acked(hw uint64) {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if hw > s.end() && s == d.cur {
		d.fork(hw)
	}
	if hw = min(hw, s.end()); hw > s.acked {
		s.acked = hw
	}
}

// Rewind 见 Source。
func (s *series) Rewind(hw uint64) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if broken(bugRewindIgnored) {
		return
	}
	s.acked = min(s.acked, hw)
	s.d.keep.forget()
}

// Batch 见 Source。
func (s *series) Batch(from uint64, limit int) *usagev1.Batch {
	s.d.tidy()
	from = max(from, 1)
	p, at, ok := s.picker(from, limit)
	if !ok {
		return nil
	}
	_ = s.d.log.Read(at, p.frame) // 关了即什么也没有
	return s.batch(from, p)
}

// usualRecord 是一条记录通常的大小，取批时据此备好内存。
const usualRecord = 320

// picker 备好从 from 起的一次取，与从哪一帧读起。
func (s *series) picker(from uint64, limit int) (p *picker, at uint64, ok bool) {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if limit <= 0 || from > s.end() {
		return nil, 0, false
	}
	p = &picker{epoch: s.epoch, want: from, limit: limit, reach: d.reachable(), known: from == 1, copies: slices.Clone(s.copies), log: d.log}
	p.records = make([]byte, 0, min(min(limit, int(s.end()-from+1))*usualRecord, maxBatchBytes))
	if c := s.marks.floor(from - 1); c.seq == from-1 {
		p.known, p.base = true, c.totals
	}
	return p, s.frameOf(max(from-1, 1)), true
}

// batch 由取到的做成一批，记下交到了哪里。
func (s *series) batch(from uint64, p *picker) *usagev1.Batch {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.sealed && s.tail > 0 && p.want > s.last && p.want <= s.end() && p.count < p.limit {
		p.lost(s.end(), nil, "the damaged tail of a journal: at most so many records")
		if p.count == 1 {
			p.totals = s.totals
		}
	}
	if p.count == 0 {
		return nil
	}
	last := p.want - 1
	if !s.delivered(from, p.gaps) {
		return nil
	}
	total := p.totals
	total.Lost = 0
	for _, g := range s.gaps {
		if g.last <= last {
			total.Lost += int64(g.last - g.first + 1)
		}
	}
	s.marks.put(last, total)
	s.handed = max(s.handed, last)
	b := &usagev1.Batch{Epoch: s.epoch, FirstSeq: from, LastSeq: last, Cumulative: total.Proto()}
	b.ProtoReflect().SetUnknown(p.records)
	return b
}

// delivered 记下这一批里的洞；从 from 起的从前的洞不作数了：控制面的游标在它们以前。新的洞先写在标记里，落了盘才交出去，
// 那样断电之后累计数里的 lost 也对得上；盘不收的时候不等。要拿着 mu。
func (s *series) delivered(from uint64, gaps []run) bool {
	n := len(s.gaps)
	kept := slices.DeleteFunc(slices.Clone(s.gaps), func(g run) bool { return g.last >= from })
	if len(gaps) == 0 && n == len(kept) {
		return true
	}
	if kept = append(kept, gaps...); !slices.Equal(kept, s.gaps) {
		s.gaps, s.told = kept, 0
	}
	if s.told == 0 {
		s.told, _ = s.d.mark(s)
	}
	return s.d.trouble != nil || s.told != 0 && s.d.log.Synced() >= s.told
}

// Flush 见 Source；等这一刻的落盘，那样紧接着的取批就取得到。
func (s *series) Flush() uint64 {
	s.d.settle()
	signal(s.wake)
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return s.end()
}
