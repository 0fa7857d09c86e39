package journal

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.uber.org/zap"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

	"github.com/vega-gateway/vega/dataplane/internal/segments"
)

// disk 是写在盘上的那一份：一份日志，里面一个或几个 epoch 的记录，与进行中的请求的票。
type disk struct {
	cfg  Config
	log  *segments.Log
	tidy func()
	pool sync.Pool // *[]byte，编一帧用的

	mu      sync.Mutex
	cur     *series   // 在写的
	old     []*series // 从前的，只还剩下要交的
	tickets tickets
	pending []waiting // 票在盘上、而结局写不进去的，等盘好了再写
	trouble error     // 盘不收了的缘由；nil 即收着
	said    bool      // trouble 说过了
	refused int64     // 盘拒绝过多少帧
	hold    hold
	rewrite []run // 落盘失败的帧，等着再写一遍
	keep    keeper
	boot    bootReport
	shut    bool
}

// waiting 是等着写的一帧：一条还没有序号的记录，或者一个 abandon。
type waiting struct {
	frame  []byte
	ticket uint64
	totals Totals
}

// hold 是落盘失败之后暂且不交出去的：first 起的帧，直到 mark 那一帧落了盘。那时断电也只会留下有数的洞。
type hold struct{ first, mark uint64 }

func openDisk(dir string, cfg Config, tidy func()) (*disk, error) {
	d := &disk{cfg: cfg, tidy: tidy, pool: sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}}
	sc := cfg.Segments
	sc.Notify = d.notify
	var err error
	if d.log, err = segments.Open(dir, sc); err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	if err = d.replay(); err != nil {
		return nil, errors.Join(fmt.Errorf("replay the journal: %w", err), d.log.Close())
	}
	return d, nil
}

// notify 收下日志出的事；在日志的 goroutine 里，不拿它的锁。说的时候也不拿 mu：请求在等它。
func (d *disk) notify(e segments.Event) {
	fields := []zap.Field{zap.Uint64("first_frame", e.First), zap.Uint64("last_frame", e.Last), zap.Error(e.Err)}
	switch e.Kind {
	case segments.AllocFailed:
		d.cfg.Log.Warn("no room for the next stretch of the usage journal", fields[2])
	case segments.Recovered:
		d.cfg.Log.Info("the usage journal has room again")
	case segments.SyncFailed:
		d.cfg.Log.Error("usage could not be synced to disk, writing it again", fields...)
	case segments.Damaged:
		d.cfg.Log.Error("usage on disk can no longer be read", fields...)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch e.Kind {
	case segments.SyncFailed:
		if d.hold.first == 0 || e.First < d.hold.first {
			d.hold.first = e.First
		}
		d.hold.mark = 0
		d.rewrite = append(d.rewrite, run{e.First, e.Last})
	case segments.Damaged:
		d.boot.damaged++
		d.keep.mark = true // 没有后来的记录，也要说得清丢了几条
	}
}

func (d *disk) current() *series {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cur
}

// all 是盘上全部的序列，在写的在最前。
func (d *disk) all() []*series {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]*series{d.cur}, d.old...)
}

// every 是要写标记的各份，在写的那一份在最后：下一次启动以最后一个标记的那一份接着写。要拿着 mu。
func (d *disk) every() []*series { return append(slices.Clone(d.old), d.cur) }

// waiting 是等着写的记录数。
func (d *disk) waiting() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.pending {
		if w.frame[0] == kindRecord {
			n++
		}
	}
	return n
}

// open 写下一个请求的开始；盘不收则 ok 为假。
func (d *disk) open(o *Opening) (id uint64, slot int32, ok bool) {
	buf := d.pool.Get().(*[]byte)
	defer d.pool.Put(buf)
	b := head(*buf, kindOpen, openHead)
	put64(b[9:], uint64(o.Call.StartedUnixMS))
	put64(b[17:], uint64(o.Call.StartedUnixMS))
	b[25] = 1
	b = appendOpening(b, o)
	*buf = b
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.trouble != nil {
		return 0, 0, false
	}
	put64(b[1:], d.tickets.last+1)
	frame, err := d.append(b)
	if err != nil {
		return 0, 0, false
	}
	id, slot = d.tickets.take(frame)
	return id, slot, true
}

// append 追加一帧，记下盘收不收。要拿着 mu。
func (d *disk) append(b []byte) (frame uint64, err error) {
	if frame, err = d.log.Append(b); err != nil {
		d.refused++
		if d.trouble == nil {
			d.trouble, d.said = err, false
		}
	}
	return frame, err
}

// update 写下进行中的请求的一件事；写不进去就算了：结局里有全部，只有进程这就被杀才用得上它。
func (d *disk) update(t Ticket, b []byte) {
	put64(b[1:], t.id)
	d.mu.Lock()
	defer d.mu.Unlock()
	if frame, err := d.append(b); err == nil {
		d.tickets.touch(t, frame)
	}
}

func (d *disk) next(t Ticket, ended *usagev1.Attempt, c *Call) {
	buf := d.pool.Get().(*[]byte)
	defer d.pool.Put(buf)
	b := head(*buf, kindNext, timedHead)
	put64(b[9:], uint64(c.StartedUnixMS))
	if ended != nil {
		b = appendNestedAttempt(b, ended)
	}
	b = appendNestedCall(b, c)
	*buf = b
	d.update(t, b)
}

func (d *disk) progress(t Ticket, p *Progress) {
	buf := d.pool.Get().(*[]byte)
	defer d.pool.Put(buf)
	b := head(*buf, kindProgress, timedHead)
	put64(b[9:], uint64(d.cfg.Now().UnixMilli()))
	b = appendProgress(b, p)
	*buf = b
	d.update(t, b)
}

func (d *disk) dropped(t Ticket) {
	var b [ticketHead]byte
	d.update(t, head(b[:], kindDropped, ticketHead))
}

func (d *disk) abandon(t Ticket) {
	var space [ticketHead]byte
	b := head(space[:], kindAbandon, ticketHead)
	put64(b[1:], t.id)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tickets.free(t)
	if _, err := d.append(b); err != nil {
		d.pending = append(d.pending, waiting{frame: bytes.Clone(b)})
	}
}

func (d *disk) close(t Ticket, r *usagev1.Request) {
	buf := d.pool.Get().(*[]byte)
	defer d.pool.Put(buf)
	b, at := nest(head(*buf, kindRecord, recordHead), 0x12)
	b = appendRequest(b, r)
	closeNest(b, at)
	*buf = b
	totals := requestTotals(r)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tickets.free(t)
	if broken(bugCloseSkipped) {
		return
	}
	if err := d.record(b, t.id, &totals); err != nil {
		d.pending = append(d.pending, waiting{bytes.Clone(b), t.id, totals})
	}
}

// refuse 记一秒的拒绝；盘不收则为假。
func (d *disk) refuse(r *usagev1.Refusals) bool {
	b := appendRefusals(head(nil, kindRecord, recordHead), r)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trouble == nil && d.record(b, 0, &Totals{Refused: bound(r.Count, maxNumber)}) == nil
}

// record 给一条记录序号并追加它；帧的次序就是序号的次序。要拿着 mu。
func (d *disk) record(b []byte, ticket uint64, t *Totals) error {
	s := d.cur
	f := recordFrame{ticket: ticket, epoch: s.epoch, seq: s.last + 1, totals: s.totals.Plus(*t)}
	f.put(b)
	frame, err := d.append(b)
	if err != nil {
		return err
	}
	s.wrote(f.seq, frame, f.totals)
	return nil
}

// mark 写下 s 到了哪里。要拿着 mu。
func (d *disk) mark(s *series) (frame uint64, err error) {
	f := markFrame{epoch: s.epoch, seq: s.last, totals: s.totals, acked: s.acked, sealed: s.sealed, tail: s.tail, gaps: s.gaps}
	if frame, err = d.append(f.append(nil)); err == nil {
		s.latest, s.marked = frame, frame
	}
	return frame, err
}

// reachable 是可以交出去的最后一帧：落了盘的，断电也不会再把它的序号给别人。要拿着 mu。
func (d *disk) reachable() uint64 {
	if broken(bugBeforeSync) {
		return d.log.Stats().Last
	}
	synced := d.log.Synced()
	if d.hold.first == 0 || broken(bugSuspectGiven) {
		return synced
	}
	if d.hold.mark != 0 && synced >= d.hold.mark {
		d.hold = hold{}
		return synced
	}
	return min(synced, d.hold.first-1)
}
