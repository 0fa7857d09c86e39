package schedule

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// simSeeds 是跑哪些种子：VEGA_SIM_SEED 只跑一个，VEGA_SIM_SEEDS 跑这么多，VEGA_PROOF=full 跑一万。
func simSeeds(t *testing.T) (first, count uint64) {
	count = 200
	if raceEnabled {
		count = 20
	}
	if os.Getenv("VEGA_PROOF") == "full" {
		count = 10_000
	}
	read := func(name string, to *uint64) bool {
		v := os.Getenv(name)
		if v == "" {
			return false
		}
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		*to = n
		return true
	}
	read("VEGA_SIM_SEEDS", &count)
	if read("VEGA_SIM_SEED", &first) {
		count = 1
	}
	return first, count
}

// simTotals 是所有种子合起来的。
type simTotals struct {
	sync.Mutex
	seeds, events, starts, arrivals int64
	hours                           float64
	usable, idle                    float64
	settled                         []simSettled
	late                            time.Duration
	hits                            simHits
	looked, judged                  int64
	failures                        []simFailure
}

type simFailure struct {
	seed uint64
	what string
}

func (s *simTotals) add(w *simWorld) {
	s.Lock()
	defer s.Unlock()
	s.seeds++
	s.events += w.done
	s.hours += float64(w.now) / 3600e9
	s.starts += w.meter.local + w.meter.granted
	s.arrivals += w.meter.arrivals
	s.usable += w.meter.usable
	s.idle += w.meter.idle
	s.settled = append(s.settled, w.meter.settled...)
	s.late = max(s.late, w.meter.late)
	s.hits.add(&w.hits)
	s.looked += w.meter.looked
	s.judged += w.meter.judged
	if w.failure != "" {
		s.failures = append(s.failures, simFailure{w.seed, w.failure})
	}
}

func (s *simTotals) count(kind string) (n int) {
	for _, f := range s.failures {
		if strings.Contains(f.what, kind) {
			n++
		}
	}
	return n
}

func (s *simTotals) quantile(q float64) float64 {
	if len(s.settled) == 0 {
		return math.NaN()
	}
	slices.SortFunc(s.settled, func(a, b simSettled) int { return cmp.Compare(a.took, b.took) })
	return float64(s.settled[int(q*float64(len(s.settled)-1))].took) / 1e6
}

// runSim 走一个种子；程序自己的恐慌也是一处违反。
func runSim(seed uint64, tracing bool) (w *simWorld) {
	w = newSimWorld(seed)
	w.tracing = tracing
	defer func() {
		if e := recover(); e != nil {
			w.fail("panic: %v\n%s", e, debug.Stack())
		}
	}()
	w.run()
	return w
}

// TestSimulation 在虚拟时间里让整个机群经历丢包、重复、乱序、断网、被杀、冻住、换届、改限额与快慢不一的钟，
// 并以上游自己的计数查它：从不超过限额，从不漏掉许可，账始终守恒，每个请求恰有一个结局，有人等时不闲着。
func TestSimulation(t *testing.T) {
	first, count := simSeeds(t)
	var totals simTotals
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for k := next.Add(1) - 1; k < count; k = next.Add(1) - 1 {
				totals.add(runSim(first+k, false))
			}
		})
	}
	wg.Wait()
	totals.report(t, first, count)
}

func (s *simTotals) report(t *testing.T, first, count uint64) {
	slices.SortFunc(s.failures, func(a, b simFailure) int { return int(a.seed) - int(b.seed) })
	for i, f := range s.failures {
		if i == 20 {
			break
		}
		t.Errorf("seed=%d %s\nreplay: VEGA_SIM_SEED=%d go test ./schedule -run 'TestSimulation$'", f.seed, f.what, f.seed)
	}
	switch {
	case len(s.failures) > 0:
		s.replay(t, s.failures[0].seed)
	case count == 1 && os.Getenv("VEGA_SIM_TRACE") != "":
		s.replay(t, first)
	}
	utilisation := 1 - s.idle/max(1, s.usable)
	fmt.Printf("figures: simulation seeds=%d sim_hours=%.2f events=%d starts=%d overshoot_max=%d leaked=%d conservation_violations=%d violations=%d utilisation=%.4f reconverge_p50=%.0fms reconverge_p99=%.0fms reconverged=%d stranded_pct=%.2f judged_pct=%.0f deadline_late_max=%v\n",
		s.seeds, s.hours, s.events, s.starts, s.count("overshoot"), s.count("leak"), s.count("conservation"), len(s.failures),
		utilisation, s.quantile(0.5), s.quantile(0.99), len(s.settled), 100*(1-utilisation), 100*float64(s.judged)/float64(max(1, s.looked)), s.late)
	missing := s.hits.report()
	if count >= 20 {
		if len(missing) > 0 {
			t.Errorf("these faults never happened: %v", missing)
		}
		if utilisation < 0.98 {
			t.Errorf("utilisation %.4f, want at least 0.98", utilisation)
		}
		if p := s.quantile(0.99); p > 300 {
			t.Errorf("reconvergence p99 %.0f ms, want at most 300 ms", p)
			for _, v := range s.settled[max(0, len(s.settled)*99/100, len(s.settled)-20):] {
				t.Logf("slow: seed=%d s%d after %s: %.0f ms until t=%.3fs", v.seed, v.server, v.cause, float64(v.took)/1e6, float64(v.at)/1e9)
			}
		}
	}
}

// replay 把头一处违反再走一遍，留下它之前发生的事；VEGA_SIM_TRACE 指一个文件则全都写进去。
func (s *simTotals) replay(t *testing.T, seed uint64) {
	w := runSim(seed, true)
	if path := os.Getenv("VEGA_SIM_TRACE"); path != "" {
		if err := os.WriteFile(path, []byte(strings.Join(w.trace, "\n")+"\n"), 0o600); err != nil {
			t.Error(err)
		}
	}
	tail := w.trace[max(0, len(w.trace)-60):]
	t.Logf("seed=%d, the last of %d lines:\n%s", w.seed, len(w.trace), strings.Join(tail, "\n"))
}
