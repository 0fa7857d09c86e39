package proof

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// TestRateWindow 让一群不停的客户端压着五个限额各异的 server：在上游自己的账上滑一个 60 秒的窗口，
// 任何一处都不超过每分钟的请求数；一直有人在等的时候，长期做到的也不少于限额的 88 %（突发 10 %）。token 的限额同样滑着看。
func TestRateWindow(t *testing.T) {
	t.Parallel()
	const tokens = 60_000
	rates := []int{1, 5, 60, 6000}
	patient := doc{"timeout_ms": 600_000}
	f := newFleet(t, shape{nodes: 2, upstream: upstreamtest.Config{Script: script}}, func(f *fleet) doc {
		servers := list{f.server("tpm", doc{"limits": doc{"tokens_per_minute": tokens}, "queue": patient})}
		models := list{target("tpm", "tpm")}
		for _, l := range rates {
			name := fmt.Sprint("rpm-", l)
			servers = append(servers, f.server(name, doc{"limits": doc{"requests_per_minute": l}, "queue": patient}))
			models = append(models, target(name, name))
		}
		return doc{"servers": servers, "models": models, "apps": list{app("load", 1)}}
	})
	d := time.Duration(size(75, 630)) * time.Second
	began := time.Now()
	var crowds []*crowd
	for _, l := range rates {
		crowds = append(crowds, f.crowd(max(2, min(l/5, 150)), func(i int) aim {
			return aim{node: i % 2, app: "load", model: fmt.Sprint("rpm-", l)}
		}))
	}
	crowds = append(crowds, f.crowd(20, func(i int) aim { return aim{node: i % 2, app: "load", model: "tpm", maxTokens: 450} }))
	time.Sleep(d)
	for _, c := range crowds {
		c.stop()
		if n := count(c.list); n.broken+n.other > 0 {
			t.Errorf("%d requests ended in an error, such as %s", n.broken+n.other, n.sample)
		}
	}
	for _, l := range rates {
		requestWindow(t, f.rows(of(fmt.Sprint("rpm-", l))), l, began)
	}
	tokenWindow(t, f.rows(of("tpm")), tokens, began)
}

// script 让 token 那个模型的用量参差：预计总有出入。
func script(r *upstreamtest.Request) upstreamtest.Behavior {
	b := r.Default
	b.Latency = 20 * time.Millisecond
	if strings.HasPrefix(r.Model, "tpm") {
		b.PromptTokens, b.CompletionTokens = 50, 50+rand.IntN(400)
	}
	return b
}

func requestWindow(t *testing.T, rows []row, limit int, began time.Time) {
	t.Helper()
	most := window(rows, time.Minute, each)
	// 开头的一次突发之外，一直有人在等。
	steady := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.Start.Before(began.Add(5 * time.Second)) })
	rate := 0.0
	if n := len(steady); n > 1 {
		rate = float64(n-1) / steady[n-1].Start.Sub(steady[0].Start).Minutes()
	}
	figures("rate-window requests_per_minute=%d calls=%d window_60s_max=%d sustained=%.2f/min ratio=%.4f", limit, len(rows), most, rate, rate/float64(limit))
	if most > limit {
		t.Errorf("limit %d: %d calls within 60 s", limit, most)
	}
	if most == 0 {
		t.Errorf("limit %d: nothing was served", limit)
	}
	if limit > 5 && rate < .88*float64(limit) {
		t.Errorf("limit %d: %.2f a minute while backlogged", limit, rate)
	}
}

func tokenWindow(t *testing.T, rows []row, limit int, began time.Time) {
	t.Helper()
	sum := 0
	for i := range rows {
		sum += used(&rows[i])
	}
	minutes := rows[len(rows)-1].Start.Sub(began).Minutes()
	mean := float64(sum) / max(minutes, 1)
	figures("rate-window tokens_per_minute=%d calls=%d tokens=%d minutes=%.2f mean=%.0f/min ratio=%.4f window_60s_max=%d", limit, len(rows), sum, minutes,
		mean, mean/float64(limit), window(rows, time.Minute, used))
	if mean > 1.02*float64(limit) {
		t.Errorf("%.0f tokens a minute over %.1f minutes, the limit is %d", mean, minutes, limit)
	}
	if mean < .8*float64(limit) {
		t.Errorf("only %.0f tokens a minute while backlogged, the limit is %d", mean, limit)
	}
}

func each(*row) int { return 1 }

func used(r *row) int { return r.Prompt + r.Completion }

// TestRateWindow_Faults 在一直有人等的时候杀当任者再让它回来，又让控制面不在到各节点靠份额过活为止，再回来：
// 新的一任不知道上一任给出去多少，节点不知道别的节点给出去多少，60 秒的窗口仍然一处也不超过。
func TestRateWindow_Faults(t *testing.T) {
	t.Parallel()
	rates := []int{5, 60, 600}
	f := newFleet(t, shape{nodes: 3, upstream: upstreamtest.Config{Script: script}}, func(f *fleet) doc {
		servers, models := list{}, list{}
		for _, l := range rates {
			name := fmt.Sprint("rpm-", l)
			servers = append(servers, f.server(name, doc{"limits": doc{"requests_per_minute": l}, "queue": doc{"timeout_ms": 600_000}, "timeouts": doc{"total_ms": 2000}}))
			models = append(models, target(name, name))
		}
		return doc{"servers": servers, "models": models, "apps": list{app("load", 1)}}
	})
	var crowds []*crowd
	for _, l := range rates {
		crowds = append(crowds, f.crowd(max(3, l/10), func(i int) aim { return aim{node: i % 3, app: "load", model: fmt.Sprint("rpm-", l)} }))
	}
	time.Sleep(15 * time.Second)
	var away []time.Duration
	for _, d := range []time.Duration{time.Second, time.Duration(size(25, 60)) * time.Second} {
		gone := time.Now()
		f.Controlplane.Kill()
		time.Sleep(d)
		if err := f.Controlplane.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		away = append(away, time.Since(gone))
		time.Sleep(time.Duration(size(15, 70)) * time.Second)
	}
	for _, c := range crowds {
		c.stop()
	}
	for _, l := range rates {
		rows := f.rows(of(fmt.Sprint("rpm-", l)))
		most := window(rows, time.Minute, each)
		figures("rate-window-faults requests_per_minute=%d calls=%d window_60s_max=%d longest_gap=%s control_plane_away=%s,%s", l, len(rows), most,
			short(gap(rows, rows[0].Start, rows[len(rows)-1].Start)), short(away[0]), short(away[1]))
		if most > l {
			t.Errorf("limit %d: %d calls within 60 s", l, most)
		}
	}
}
