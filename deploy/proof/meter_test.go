package proof

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// meter 每 50 ms 读一次上游自己的在途积分；利用率由此算出，网关怎么说都不作数。
type meter struct {
	up   *upstreamtest.Server
	stop func()
	done sync.WaitGroup

	mu    sync.Mutex
	marks []mark
}

type mark struct {
	at   time.Time
	busy time.Duration
	stat upstreamtest.Stats
}

// watch 从此刻起读数；ResetLedger 之后要另起一个。
func (f *fleet) watch() *meter {
	stop := make(chan struct{})
	m := &meter{up: f.up, stop: sync.OnceFunc(func() { close(stop) })}
	m.read()
	m.done.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				m.read()
			case <-stop:
				m.read()
				return
			}
		}
	})
	f.t.Cleanup(m.close)
	return m
}

func (m *meter) read() {
	s := m.up.Stats()
	at := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.marks = append(m.marks, mark{at: at, busy: time.Duration(s.BusyNS), stat: s})
}

// close 停下；可重复调用。
func (m *meter) close() {
	m.stop()
	m.done.Wait()
}

// mean 是 [from, to] 之间上游的平均在途数；两端取最近的读数。
func (m *meter) mean(from, to time.Time) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, b := m.nearLocked(from), m.nearLocked(to)
	if !b.at.After(a.at) {
		return 0
	}
	return float64(b.busy-a.busy) / float64(b.at.Sub(a.at))
}

func (m *meter) nearLocked(at time.Time) mark {
	i, _ := slices.BinarySearchFunc(m.marks, at, func(m mark, at time.Time) int { return m.at.Compare(at) })
	return m.marks[min(i, len(m.marks)-1)]
}

// recovered 是从 after 起，直到其后一秒的平均在途达到 want 为止，过了多久；没有则 -1。
func (m *meter) recovered(after time.Time, want float64) time.Duration {
	m.mu.Lock()
	marks := slices.Clone(m.marks)
	m.mu.Unlock()
	for i, a := range marks {
		if a.at.Before(after) {
			continue
		}
		for _, b := range marks[i:] {
			if d := b.at.Sub(a.at); d >= time.Second {
				if float64(b.busy-a.busy)/float64(d) >= want {
					return a.at.Sub(after)
				}
				break
			}
		}
	}
	return -1
}

// await 等到 recovered 有了答案或 patience 用完。
func (m *meter) await(after time.Time, want float64, patience time.Duration) time.Duration {
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if d := m.recovered(after, want); d >= 0 || time.Now().After(deadline) {
			return d
		}
	}
}

// row 是账上的一行，认出了节点与 app。
type row struct {
	upstreamtest.Entry
	node int
	app  string
}

// rows 是账本，按到达先后；keep 为 nil 即全部。
func (f *fleet) rows(keep func(*row) bool) []row {
	var out []row
	for _, e := range f.up.Ledger() {
		r := row{Entry: e, node: -1}
		if node, name, ok := strings.Cut(strings.TrimPrefix(e.Header.Get("User-Agent"), "node-"), "/"); ok {
			if n, err := strconv.Atoi(node); err == nil {
				r.node, r.app = n, name
			}
		}
		if keep == nil || keep(&r) {
			out = append(out, r)
		}
	}
	return out
}

// of 只要一个模型的行。
func of(model string) func(*row) bool { return func(r *row) bool { return r.Model == model } }

// held 是 at 那一刻节点 node 在上游的请求数。
func held(rows []row, node int, at time.Time) (n int) {
	for _, r := range rows {
		if r.node == node && !r.Start.After(at) && (r.End.IsZero() || r.End.After(at)) {
			n++
		}
	}
	return n
}

// window 是任何一段长为 span 的半开区间里，各行的 weight 之和的最大值。
func window(rows []row, span time.Duration, weight func(*row) int) int {
	sum, most, tail := 0, 0, 0
	for i := range rows {
		sum += weight(&rows[i])
		for rows[i].Start.Sub(rows[tail].Start) >= span {
			sum -= weight(&rows[tail])
			tail++
		}
		most = max(most, sum)
	}
	return most
}

// gap 是 [from, to] 之间相邻两次到达上游相隔最久的。
func gap(rows []row, from, to time.Time) (most time.Duration) {
	last := from
	for _, r := range rows {
		if r.Start.After(from) && r.Start.Before(to) {
			most, last = max(most, r.Start.Sub(last)), r.Start
		}
	}
	return max(most, to.Sub(last))
}

// quantile 是排好序之后第 q 分位；空的是 0。
func quantile(list []time.Duration, q float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*q))]
}

// waits 是每个成了的请求从发出到上游收到隔了多久：两端是同一口钟。
func waits(list []shot, rows []row) []time.Duration {
	started := make(map[string]time.Time, len(rows))
	for _, r := range rows {
		if id, ok := strings.CutSuffix(r.RequestID, "-1"); ok {
			started[id] = r.Start
		}
	}
	var out []time.Duration
	for i := range list {
		if at, ok := started[list[i].id]; ok && list[i].status == 200 {
			out = append(out, at.Sub(list[i].sent))
		}
	}
	return out
}

// short 让时长好读。
func short(d time.Duration) string {
	if d > time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

// figures 打印一行数字。
func figures(format string, args ...any) { fmt.Printf("figures: "+format+"\n", args...) }

// off 是 got 偏离 want 的比例。
func off(got, want float64) float64 { return math.Abs(got-want) / want }
