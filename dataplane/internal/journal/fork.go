package journal

import (
	"bytes"

	"go.uber.org/zap"
)

// fork 换一个 epoch 接着写：控制面已经有 hw 为止的，而这个目录里没有，它是从前的一份。要拿着 mu。
func (d *disk) fork(hw uint64) {
	old := d.cur
	d.cfg.Log.Error("the data directory is older than what the control plane has: usage goes on under a new epoch",
		zap.Uint64("written", old.last), zap.Uint64("high_water", hw))
	old.sealed = true
	d.old = append(d.old, old)
	d.cur = d.newSeries(newEpoch())
	d.keep.moving, d.keep.mark = old, true
}

// move 把 s 这一次运行里写的记录搬到在写的那一份：它们的序号控制面已经给了别的记录。再写过一遍的只搬一次。
func (d *disk) move(s *series) {
	moved := map[uint64]bool{}
	_ = d.log.Read(0, func(_ uint64, b []byte) bool {
		f, ok := parseRecord(b)
		if !ok || f.epoch != s.epoch || f.seq <= s.start || moved[f.seq] {
			return true
		}
		if t, ok := contribution(f.body); ok {
			moved[f.seq] = true
			w := waiting{bytes.Clone(b), f.ticket, t}
			w.frame[0] = kindRecord
			d.renumber(w)
		}
		return true
	})
	d.mu.Lock()
	d.keep.moving = nil
	d.mu.Unlock()
}

// renumber 以新的序号写下一条记录。
func (d *disk) renumber(w waiting) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.record(w.frame, w.ticket, &w.totals); err != nil {
		d.pending = append(d.pending, w)
	}
}
