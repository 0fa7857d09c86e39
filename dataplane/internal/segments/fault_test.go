package segments

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
)

// TestLog_SurvivesAFaultAtEveryCall：同一出戏，每一次让第 k 个文件操作失败一次。
// 收下的每一帧都读得回；断电之后，说过落了盘而没有报失败的都在；戏的后半截盘好了，写得进也落得了盘。
func TestLog_SurvivesAFaultAtEveryCall(t *testing.T) {
	refused, suspect := 0, uint64(0)
	for k := 1; ; k++ {
		d := newDisk(t)
		n := 0
		d.failing(func(op, _ string) error {
			if n++; n == k {
				return syscall.EIO
			}
			return nil
		})
		p := play{t: t, d: d}
		p.run()
		if t.Failed() {
			t.Fatalf("the fault was at call %d", k)
		}
		refused, suspect = refused+p.refused, suspect+p.suspect
		if n < k { // 整出戏没有第 k 次操作
			fmt.Printf("figures: segments-faults calls=%d refused_appends=%d suspect=%d lost=0 lost_synced=0\n", n, refused, suspect)
			return
		}
	}
}

// play 是那一出戏。
type play struct {
	t       *testing.T
	d       *fakeDisk
	refused int
	suspect uint64
}

func (p *play) open() *Log {
	cfg := small()
	cfg.RetryEvery = 1
	cfg.Files = p.d
	l, err := Open("", cfg)
	if err != nil {
		if p.d.mapped() != 0 {
			p.t.Errorf("a failed Open leaves %d files mapped", p.d.mapped())
		}
		if l, err = Open("", cfg); err != nil { // 只坏一次
			p.t.Fatal(err)
		}
	}
	return l
}

func (p *play) run() {
	t := p.t
	var last, durable uint64
	suspects := map[uint64]bool{}
	for life := range 3 {
		l := p.open()
		first := l.Stats().First
		if got := l.Stats().Last; got != last {
			t.Errorf("life %d: %d frames, %d were accepted", life, got, last)
		}
		if last > 0 {
			accounted(t, l, first, last)
		}
		if h := l.Holes(); len(h) != 0 {
			t.Errorf("life %d: holes %v", life, h)
		}
		for round := range 5 {
			p.write(l, 25)
			l.syncAll()
			l.tidy()
			if round == 2 && l.Synced() > 30 {
				_ = l.Drop(l.Synced() - 30)
			}
		}
		last, durable = l.Stats().Last, l.Synced()
		p.suspect += l.Stats().Suspect
		for _, h := range l.Suspects() {
			for i := h.First; i <= h.Last; i++ {
				suspects[i] = true
			}
		}
		p.lightsOut(durable, l.Stats().First, suspects)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if last < 300 {
		t.Errorf("only %d frames went in", last)
	}
}

// write 追加 n 帧；被拒绝的那些不算，缘由必须是盘。
func (p *play) write(l *Log, n int) {
	for range n {
		want := l.Stats().Last + 1
		if _, err := l.Append(payload(want)); err != nil {
			p.refused++
			if !errors.Is(err, ErrDegraded) && !errors.Is(err, ErrFull) {
				p.t.Error(err)
			}
			l.tidy()
		}
	}
}

// lightsOut 断电看一眼：落过盘的都在。
func (p *play) lightsOut(durable, first uint64, suspects map[uint64]bool) {
	after := open(p.t, p.d.powerLoss(newRandom(), 0), small())
	have := map[uint64]bool{}
	for _, i := range indexes(p.t, after, first) {
		have[i] = true
	}
	for i := max(first, 1); i <= durable; i++ {
		if !have[i] && !suspects[i] {
			p.t.Errorf("%d was synced and is gone; holes %v", i, after.Holes())
			return
		}
	}
}
