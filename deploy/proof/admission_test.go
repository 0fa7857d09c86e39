package proof

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// TestAdmission_Skew 让倾斜的、130 % 的负荷打在一个有限额的 server 上：上游的在途恰好到限额、从不越过，
// 名额不闲着，三个同时积压的应用按 1:2:3 分。
func TestAdmission_Skew(t *testing.T) {
	for _, c := range []skew{
		{nodes: 4, limit: 20, service: 500 * time.Millisecond, requests: size(650, 2800)},
		// 小的一次缩短服务时间而不是减少请求：份额要有足够的个数才量得准。
		{nodes: 8, limit: 2, service: time.Duration(size(200, 500)) * time.Millisecond, requests: size(260, 2800)},
	} {
		t.Run(fmt.Sprintf("limit %d over %d nodes", c.limit, c.nodes), c.run)
	}
}

type skew struct {
	nodes, limit, requests int
	service                time.Duration
}

// member 是三个应用之一；offered 是它在来的请求里的份量。
type member struct {
	name    string
	weight  int
	offered float64
}

// crew 的份额依权重 1:2:3，来的却是 10:18:24：三个都积压，而先来先得会分错。
func crew() []member { return []member{{"one", 1, 10}, {"two", 2, 18}, {"three", 3, 24}} }

func (c skew) run(t *testing.T) {
	f := newLimited(t, shape{nodes: c.nodes}, c.limit, c.service)
	crew := crew()
	var offered []float64
	for _, a := range crew {
		offered = append(offered, a.offered)
	}
	capacity := float64(c.limit) / c.service.Seconds()
	rate := 1.3 * capacity
	d := time.Duration(float64(c.requests) / rate * float64(time.Second))

	// 先让每个应用都有人在等，量的时候才是三个都积压。
	ahead, settled := f.burst(t.Context(), 3*max(c.limit, 6), func(i int) aim {
		return aim{node: i % c.nodes, app: crew[i%3].name, model: "m-" + crew[i%3].name}
	})
	m := f.watch()
	from := time.Now().Add(c.service * 2)
	list := f.open(t.Context(), rate, d, func(rng *rand.Rand) aim {
		a := crew[weighted(rng, offered)].name
		return aim{node: spread(rng, c.nodes, 10), app: a, model: "m-" + a, stream: rng.IntN(3) == 0}
	})
	to := time.Now()
	settled()
	m.close()
	rows := f.rows(nil)
	got := slices.Concat(list, ahead.list)
	n := count(got)
	used := m.mean(from, to.Add(-100*time.Millisecond)) / float64(c.limit)
	shares, worst := split(rows, from, to)
	wait := waits(got, rows)
	figures("admission-skew nodes=%d limit=%d load=130%% skew=10:1 service=%s sent=%d served=%d refused=%d expired=%d cut_at_end=%d errors=%d upstream_max_inflight=%d utilisation=%.4f shares=%s worst_share_error=%.2f%% wait_p50=%s wait_p99=%s",
		c.nodes, c.limit, c.service, len(got), n.ok, n.refused, n.expired, n.cut, n.broken+n.other, f.up.Stats().MaxInFlight, used, shares, worst*100,
		short(quantile(wait, .5)), short(quantile(wait, .99)))
	if most := f.up.Stats().MaxInFlight; most != int64(c.limit) {
		t.Errorf("the upstream saw %d at once, want exactly %d", most, c.limit)
	}
	if used < .95 {
		t.Errorf("utilisation %.4f while backlogged, want at least 0.95", used)
	}
	if n.broken+n.other > 0 {
		t.Errorf("%d requests ended in an error, such as %s", n.broken+n.other, n.sample)
	}
	// 份额按整个的请求数：相差一个半不算偏。
	if slack := 1.5 / (float64(len(rows)) / 6); worst > max(.05, slack) {
		t.Errorf("shares %s are off by %.1f %%", shares, worst*100)
	}
}

// newLimited 起一套：server "up" 至多 limit 个在途，三个应用各有自己的模型，服务时间在 service 上下一半之间均匀分布。
func newLimited(t *testing.T, s shape, limit int, service time.Duration) *fleet {
	t.Helper()
	s.upstream.Script = func(r *upstreamtest.Request) upstreamtest.Behavior {
		b := r.Default
		b.Latency = service/2 + rand.N(service)
		return b
	}
	return newFleet(t, s, func(f *fleet) doc {
		models, apps := list{}, list{}
		for _, a := range crew() {
			models, apps = append(models, target("m-"+a.name, "up")), append(apps, app(a.name, a.weight))
		}
		return doc{"models": models, "apps": apps, "servers": list{f.server("up", doc{
			"limits": doc{"max_concurrency": limit}, "timeouts": doc{"total_ms": 8000}})}}
	})
}

// split 数 [from, to] 之间各应用开始了几个，并给出离 1:2:3 最远的偏差。
func split(rows []row, from, to time.Time) (text string, worst float64) {
	crew := crew()
	counts := make([]int, len(crew))
	sum, weights := 0, 0
	for _, r := range rows {
		i := slices.IndexFunc(crew, func(a member) bool { return a.name == r.app })
		if i >= 0 && r.Start.After(from) && r.Start.Before(to) {
			counts[i]++
			sum++
		}
	}
	for _, a := range crew {
		weights += a.weight
	}
	for i, a := range crew {
		want := float64(sum) * float64(a.weight) / float64(weights)
		worst = max(worst, off(float64(counts[i]), want))
		text += fmt.Sprintf(":%d", counts[i])
	}
	return text[1:], worst
}
