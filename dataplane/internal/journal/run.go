package journal

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// Run 成组地落盘、预备与删除段、使一秒的拒绝成为记录、在盘好了之后换回来，直到 ctx 结束；那时落最后一次盘，返回 nil。
func (j *Journal) Run(ctx context.Context) error {
	done := make(chan error, 1)
	if j.disk == nil {
		done <- nil
	} else {
		go func() { done <- j.disk.log.Run(ctx) }()
	}
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return <-done
		case <-tick.C:
			j.tidy()
			if j.disk != nil {
				j.disk.beat(time.Now())
			}
		}
	}
}

// Shut 不再写，放开盘。Run 要先返回；其后的 Open 与 Close 只在内存里。
func (j *Journal) Shut() error {
	if j.disk == nil {
		return nil
	}
	d := j.disk
	d.mu.Lock()
	d.shut = true
	d.write()
	left := len(d.pending)
	d.mu.Unlock()
	if left > 0 {
		d.cfg.Log.Error("the outcome of some requests could not be written: they will be reported as cut off at the next start", zap.Int("requests", left))
	}
	return d.log.Close()
}

// beat 是定时的活。
func (d *disk) beat(now time.Time) {
	d.mu.Lock()
	d.probe()
	d.write()
	d.mu.Unlock()
	d.again()
	d.mu.Lock()
	d.suspects()
	if d.keep.mark && d.trouble == nil {
		for _, s := range d.every() {
			_, _ = d.mark(s)
		}
		d.keep.mark = d.trouble != nil
	}
	trouble, say := d.trouble, !d.said
	d.said = true
	old := d.keep.moving
	d.mu.Unlock()
	if say && trouble != nil {
		d.cfg.Log.Error("usage is kept in memory only: the disk does not take it", zap.Error(trouble))
	} else if say {
		d.cfg.Log.Info("usage is written to disk")
	}
	if old != nil {
		d.move(old)
	}
	d.retain(now)
}

// probe 在盘不收的时候试一次。要拿着 mu。
func (d *disk) probe() {
	if d.trouble == nil || d.shut {
		return
	}
	said := d.said
	d.trouble = nil
	if _, err := d.mark(d.cur); err != nil {
		d.said = said // 换了缘由也不再说一遍
		return
	}
	d.said = false
}

// write 写下等着的。要拿着 mu。
func (d *disk) write() {
	for d.trouble == nil && len(d.pending) > 0 {
		w := d.pending[0]
		var err error
		if w.frame[0] == kindRecord {
			err = d.record(w.frame, w.ticket, &w.totals)
		} else {
			_, err = d.append(w.frame)
		}
		if err != nil {
			return
		}
		d.pending = d.pending[1:]
	}
}

// suspects 在落盘失败的都再写过一遍之后写一个标记：它落了盘，那之前的序号就再也不会给别人，读不出来的也有数。要拿着 mu。
func (d *disk) suspects() {
	if d.hold.first == 0 || d.hold.mark != 0 || len(d.rewrite) > 0 {
		return
	}
	if frame, err := d.mark(d.cur); err == nil {
		d.hold.mark = frame
	}
}

// settle 等此刻写下的都落盘，至多一秒；盘不行的时候不等。
func (d *disk) settle() {
	d.mu.Lock()
	d.write()
	last := d.log.Stats().Last
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = d.log.WaitSynced(ctx, last)
}

// retryEvery 是盘不收之后多久试一次：试一次就是追加一个标记，很便宜；日志自己另有越来越疏的退避。
const retryEvery = 50 * time.Millisecond
