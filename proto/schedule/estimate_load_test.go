package schedule

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// overload 是一个 32 个名额、平均 4 s 的 server 在 load 倍的来客下的一小时；四个 app，期限都是 30 s。
type overload struct {
	arrived, refused, expired, started int
	late                               float64 // 等到了的平均等待，秒
	busy                               float64 // 名额被占的比例
}

func (o *overload) run(load float64, refuse bool, seed uint64) {
	c, rng, now := NewCore(), pcg(seed), second
	const slots, mean = 32, 4.0
	c.SetCap(now, Pool{Server: "s", Kind: InFlight}, Cap{Mode: Count, N: slots})
	var ends []Time
	next, end, id := now, now.Add(time.Hour), uint64(0)
	for now < end {
		at := next
		if len(ends) > 0 {
			at = min(at, slices.Min(ends))
		}
		if t := c.Next(); t != 0 {
			at = min(at, t)
		}
		o.busy += float64(len(ends)) / slots * at.Sub(now).Seconds() / 3600
		now = at
		ends = slices.DeleteFunc(ends, func(t Time) bool {
			if t <= now {
				c.Give(now, Pool{Server: "s", Kind: InFlight}, 1)
			}
			return t <= now
		})
		if next == now {
			id++
			o.arrived++
			w := &Waiter{Request: *tokens(fmt.Sprint("app", rng.IntN(4)), 100), ID: id, Arrived: now, Deadline: now.Add(30 * time.Second), Candidates: to("s")}
			if _, refused := c.Arrive(now, w, refuse); refused {
				o.refused++
			}
			next = now.Add(time.Duration(rng.ExpFloat64() * mean / slots / load * 1e9))
		}
		for w := c.Expire(now); w != nil; w = c.Expire(now) {
			o.expired++
		}
		for w, _, ok := c.Dispatch(now); ok; w, _, ok = c.Dispatch(now) {
			o.started++
			o.late += now.Sub(w.Arrived).Seconds()
			took := time.Duration(rng.ExpFloat64() * mean * 1e9)
			ends = append(ends, now.Add(took))
			c.Served(now, "s", w.App, 1, took)
		}
	}
	o.late /= float64(o.started)
}

// 过载时提前拒绝：名额照样全忙，很少有谁白等到期限；不过载时几乎不拒绝。27 s 里完成的个数自己就有约 7 % 的起伏，
// 所以白等的不会是零。
func TestEstimate_RefusesEarlyUnderOverloadAndKeepsTheServerBusy(t *testing.T) {
	t.Parallel()
	loads := []float64{0.9, 1.3, 2}
	if raceEnabled {
		loads = loads[1:2]
	}
	for _, load := range loads {
		var with, without overload
		with.run(load, true, 4)
		without.run(load, false, 4)
		refused := 100 * float64(with.refused) / float64(with.arrived)
		vain := 100 * float64(with.expired) / float64(with.arrived)
		goodput := float64(with.started) / float64(without.started)
		fmt.Fprintf(os.Stdout, "figures: early-refusal load=%.1f refused=%.1f%% waited_in_vain=%.2f%% (without: %.1f%%) mean_wait=%.1fs (without: %.1fs) goodput=%.3f busy=%.3f\n",
			load, refused, vain, 100*float64(without.expired)/float64(without.arrived), with.late, without.late, goodput, with.busy)
		if goodput < 0.98 || vain > 3 {
			t.Errorf("load %.1f: goodput %.3f of that without refusals, %.2f %% waited in vain", load, goodput, vain)
		}
		if load < 1 && refused > 1 {
			t.Errorf("load %.1f: %.2f %% refused", load, refused)
		}
	}
}
