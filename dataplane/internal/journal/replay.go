package journal

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"go.uber.org/zap"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// bootReport 是打开时发现的。
type bootReport struct{ replayed, damaged int64 }

// replay 读完上一次运行留下的：认出各个 epoch 写到了哪里，把开了头而没有结局的请求补上一条 aborted。
// 补的就是普通的记录，所以补到一半又被杀也只是下一次接着补。
func (d *disk) replay() error {
	r := &replay{d: d, series: map[uint64]*series{}, open: map[uint64]*opened{}, next: d.log.Stats().First}
	if err := d.log.Read(0, r.frame); err != nil {
		return err
	}
	d.boot.damaged = int64(len(d.log.Holes()))
	d.tickets.last = r.ticket
	d.mu.Lock()
	defer d.mu.Unlock()
	lost := d.log.Stats().Last + 1 - r.next
	d.resume(r, lost)
	r.closedInHoles()
	for _, id := range slices.Sorted(maps.Keys(r.open)) {
		d.closeFor(id, r.open[id])
	}
	d.cfg.Log.Info("journal replayed", zap.Uint64("frames", d.log.Stats().Recovered), zap.Uint64("last_seq", d.cur.last),
		zap.Int64("requests_cut_off", d.boot.replayed), zap.Int64("damaged", d.boot.damaged), zap.Uint64("damaged_tail", lost), zap.Uint64("torn", d.log.Stats().Torn))
	return nil
}

// resume 定下在写的那一份。尾巴上坏了 lost 帧，就说不清序号用到了哪里，所以封住它，换一个 epoch。
func (d *disk) resume(r *replay, lost uint64) {
	for _, s := range r.order {
		if s == r.latest && !s.sealed && (lost == 0 || broken(bugEpochKept)) {
			d.cur = s
			s.start = s.last
		} else if s.sealed = true; s == r.latest && s.tail == 0 {
			s.tail = lost
		}
		if s != d.cur && (s.first != 0 || s.acked < s.end()) {
			d.old = append(d.old, s)
		}
	}
	if d.cur == nil {
		d.cur = d.newSeries(newEpoch())
	}
	for _, s := range d.every() {
		s.acked = min(s.acked, s.end())
		_, _ = d.mark(s) // 写不进去的在盘好了之后再写
	}
	d.keep.mark = d.trouble != nil
}

// closeFor 补上一个请求的结局；一个字节也没有到过上游的当作没有过。要拿着 mu。
func (d *disk) closeFor(id uint64, o *opened) {
	if len(o.req.Attempts) == 0 {
		frame := head(nil, kindAbandon, ticketHead)
		put64(frame[1:], id)
		if _, err := d.append(frame); err != nil {
			d.pending = append(d.pending, waiting{frame: frame})
		}
		return
	}
	q := o.aborted()
	b, at := nest(head(nil, kindRecord, recordHead), 0x12)
	b = appendRequest(b, q)
	closeNest(b, at)
	totals := requestTotals(q)
	if err := d.record(b, id, &totals); err != nil {
		d.pending = append(d.pending, waiting{b, id, totals})
	}
	d.boot.replayed++
}

// replay 是读的时候记着的。
type replay struct {
	d      *disk
	series map[uint64]*series
	order  []*series
	latest *series // 没有封住的各份里，最近看见的
	open   map[uint64]*opened
	ticket uint64
	next   uint64 // 接着该读到的帧
	holes  []hole
}

// hole 是中间读不出来的一段。票号是连着的，记录带着累计，所以说得出里面有几个请求的开头、几个的结局。
type hole struct {
	frame         uint64
	ticket, until uint64 // 里面的开头，票号在两者之间；until 为 0 即还不知道
	opened        int64  // 里面的开头，结局不在其后的
	closed        int64  // 里面的结局
}

func (r *replay) frame(index uint64, b []byte) bool {
	if index > r.next {
		r.holes = append(r.holes, hole{frame: r.next, ticket: r.ticket})
	}
	r.next = index + 1
	if len(b) < ticketHead {
		return true
	}
	if m, ok := parseMark(b); ok {
		s := r.of(m.epoch)
		r.missing(s, m.seq, m.totals.Requests)
		s.last, s.totals = max(s.last, m.seq), m.totals
		s.acked, s.sealed, s.tail, s.gaps = m.acked, m.sealed, m.tail, m.gaps
		s.latest, s.marked = index, index
		if !s.sealed {
			r.latest = s
		}
		return true
	}
	if f, ok := parseRecord(b); ok {
		s := r.of(f.epoch)
		if b[0] == kindCopy && r.copied(s, index, &f) {
			return true
		}
		requests := f.totals.Requests
		if f.ticket != 0 {
			requests--
		}
		r.missing(s, f.seq-1, requests)
		s.wrote(f.seq, index, f.totals)
		r.latest = s
		if !broken(bugReplayedTwice) || f.seq%2 == 0 {
			r.close(f.ticket)
		}
		return true
	}
	r.event(index, b)
	return true
}

// copied 收下再写了一遍的一条；原来的没有看见、又正好接得上的返回 false，当作原来的收。
func (r *replay) copied(s *series, index uint64, f *recordFrame) bool {
	if f.seq > s.last {
		return false
	}
	s.copied(f.seq, index)
	if n := len(r.holes); n > 0 && r.open[f.ticket] != nil { // 原来的在洞里：它的结局没有丢
		r.holes[n-1].closed--
	}
	r.close(f.ticket)
	return true
}

// of 是一个 epoch 的那一份。
func (r *replay) of(epoch uint64) *series {
	s := r.series[epoch]
	if s == nil {
		s = r.d.newSeries(epoch)
		r.series[epoch] = s
		r.order = append(r.order, s)
	}
	return s
}

// missing 记下 s 到 seq 为止缺了几个请求的结局，算在最近的洞里；requests 是到 seq 为止的请求数。
// 头一次看见的不算，前面的是删了。
func (r *replay) missing(s *series, seq uint64, requests int64) {
	if n := len(r.holes); n > 0 && s.last > 0 && seq > s.last {
		r.holes[n-1].closed += max(0, requests-s.totals.Requests)
	}
}

func (r *replay) close(ticket uint64) {
	for i := range r.holes { // 开头在洞里的，结局在洞外
		if h := &r.holes[i]; h.ticket < ticket && ticket < h.until {
			h.opened--
		}
	}
	r.seen(ticket)
	delete(r.open, ticket)
}

// seen 记下看见了一个票号。
func (r *replay) seen(ticket uint64) { r.ticket = max(r.ticket, ticket) }

// event 是进行中的请求的一件事。
func (r *replay) event(index uint64, b []byte) {
	ticket := get64(b[1:])
	if b[0] == kindAbandon {
		r.close(ticket)
		return
	}
	o, err := r.open[ticket].after(b)
	if err != nil {
		r.d.cfg.Log.Error("a frame of the journal cannot be decoded", zap.Uint64("frame", index), zap.Error(err))
		return
	}
	if b[0] == kindOpen {
		r.opens(ticket)
	}
	if r.seen(ticket); o == nil {
		return
	}
	if o.latest = index; o.first == 0 {
		o.first = index
	}
	r.open[ticket] = o
}

// opens 看一个开头：洞之后的头一个，说得出洞里有几个。
func (r *replay) opens(ticket uint64) {
	for i := range r.holes {
		if h := &r.holes[i]; h.until == 0 && ticket > h.ticket {
			h.until = ticket
			h.opened += int64(ticket - h.ticket - 1)
		}
	}
}

// closedInHoles 去掉结局在洞里的：它们已经算在 Gap 里。洞里的结局，先算是洞里开头的那些的；多出来的，
// 是在洞之前开头、其后再没有动静的请求的。分不清是哪几个，取开头最早的：数目总是对的。
// 尾巴上的洞不算：没有落盘的从没有交出去过，补上的不会重复。
func (r *replay) closedInHoles() {
	for _, h := range r.holes {
		var quiet []uint64
		for id, o := range r.open {
			if o.latest < h.frame {
				quiet = append(quiet, id)
			}
		}
		slices.SortFunc(quiet, func(a, b uint64) int { return cmp.Compare(r.open[a].first, r.open[b].first) })
		for _, id := range quiet[:min(len(quiet), int(max(0, h.closed-h.opened)))] {
			delete(r.open, id)
		}
	}
}

var errShortFrame = errors.New("journal: the frame is too short")

// opened 是一个开了头的请求，到此为止知道的。
type opened struct {
	req           *usagev1.Request
	started, seen int64 // 正在进行的调用从何时起，最后何时被看见；毫秒
	running       bool
	first, latest uint64 // 头一件与最近一件事在哪一帧
}
