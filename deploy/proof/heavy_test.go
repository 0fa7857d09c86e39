package proof

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// TestHeavyQuery 在同一次运行里轮着来：一段没有查询，一段有两个客户端不停地问 90 天的用量，入库一直在进行。
// 印出两种时段里网关自己花的时间（客户端看到的减去上游看到的）的 p99 与它们的比。
//
// 请求的路上没有一步等数据库，所以慢下来只能是因为抢 CPU：这里数据库、控制面、节点、上游与客户端全在一台机器上。
func TestHeavyQuery(t *testing.T) {
	const rate = 60
	f := newFleet(t, shape{nodes: 1, outside: true, upstream: upstreamtest.Config{Script: scripted}}, func(f *fleet) doc { return f.mixture() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	began := time.Now()
	if _, err := f.pg.Query(ctx, history(began, 90, size(15, 2000))); err != nil {
		t.Fatal(err)
	}
	made := time.Since(began)
	m := f.mixer()
	m.only = "json"
	m.steady(rate, 1)
	pause(ctx, 2*time.Second)
	var quiet, busy spans
	q := &questions{f: f, slowest: map[string]time.Duration{}}
	for range size(3, 15) {
		quiet = append(quiet, within(func() { pause(ctx, 2*time.Second) }))
		busy = append(busy, within(func() { q.ask(ctx, 2, 2*time.Second) }))
	}
	seen := m.finish()
	f.drained(ctx)
	spent := f.overheads(seen)
	without, with := quiet.of(spent), busy.of(spent)
	figures("heavy_query hour_rows=%d made_in=%s rate=%d/s n_without=%d p50_without_ms=%.2f p99_without_ms=%.2f n_with=%d p50_with_ms=%.2f p99_with_ms=%.2f ratio=%.2f queries=%d query_p50_ms=%.0f query_p95_ms=%.0f turned_away=%d",
		f.count(ctx, "usage_hour"), short(made), rate, len(without), ms(quantile(without, .5)), ms(quantile(without, .99)), len(with), ms(quantile(with, .5)), ms(quantile(with, .99)),
		ms(quantile(with, .99))/max(.01, ms(quantile(without, .99))), len(q.took), ms(quantile(q.took, .5)), ms(quantile(q.took, .95)), q.busy)
	for ask, took := range q.slowest {
		t.Logf("slowest %-70s %s", ask, short(took))
	}
	if q.wrong != nil {
		t.Error(q.wrong)
	}
	if len(q.took) == 0 || len(without) == 0 || len(with) == 0 {
		t.Fatal("nothing was compared")
	}
	if n := failed(seen); n > 0 {
		t.Errorf("%d requests failed", n)
	}
}

// questions 是控制台会问的那些，连同更重的。
type questions struct {
	f       *fleet
	mu      sync.Mutex
	took    []time.Duration
	slowest map[string]time.Duration
	busy    int   // 控制面说此刻查询太多
	wrong   error // 第一个别的错误
}

// ask 让 n 个客户端一个接一个地问，历时 d；各自问完手上的才停。
func (q *questions) ask(ctx context.Context, n int, d time.Duration) {
	end := time.Now().Add(d)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))
			for time.Now().Before(end) && ctx.Err() == nil {
				q.one(ctx, rng)
			}
		})
	}
	wg.Wait()
}

func (q *questions) one(ctx context.Context, rng *rand.Rand) {
	ago := func(days int) string {
		return "from=" + url.QueryEscape(time.Now().UTC().AddDate(0, 0, -days).Format(time.RFC3339)) + "&"
	}
	long := ago(30 + rng.IntN(60))
	asks := []string{
		long + "interval=day&group_by=model", long + "interval=day&group_by=app&top=10&order_by=cost", ago(7) + "interval=hour&group_by=server",
		long + "group_by=server,app,model", long + "interval=day&time_zone=Asia/Shanghai&group_by=app,model&top=20", long + "interval=day&percentiles=50,99",
	}
	ask := asks[rng.IntN(len(asks))]
	began := time.Now()
	err := q.f.Admin.Call(ctx, http.MethodGet, "/usage?"+ask, nil, nil)
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case err == nil:
		q.took = append(q.took, time.Since(began))
		_, kind, _ := strings.Cut(ask, "&")
		q.slowest[kind] = max(q.slowest[kind], time.Since(began))
	case strings.Contains(err.Error(), "status 503"):
		q.busy++
		pause(ctx, 50*time.Millisecond)
	case q.wrong == nil:
		q.wrong = err
	}
}

// within 是 act 历时的那一段。
func within(act func()) span {
	began := time.Now()
	act()
	return span{began, time.Now()}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
