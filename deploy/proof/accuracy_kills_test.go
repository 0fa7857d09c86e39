package proof

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
)

// TestAccuracy_Kills 在混合负荷之下一轮轮地随机 kill -9 数据面、控制面与 PostgreSQL（连同它的每个子进程），
// 然后拿上游自己的账（请求号与次序）逐笔对表。
//
// 轮数是 VEGA_PROOF_CYCLES，种子是 VEGA_PROOF_SEED（缺省随机，打印出来）；同一个种子杀同样的次序，时刻因机器而异。
func TestAccuracy_Kills(t *testing.T) {
	t.Parallel()
	cycles, seed := parameter(t, "VEGA_PROOF_CYCLES", size(15, 200)), uint64(parameter(t, "VEGA_PROOF_SEED", int(rand.Uint32())))
	f := newFleet(t, shape{nodes: 2, outside: true, upstream: upstreamtest.Config{Script: scripted}}, func(f *fleet) doc { return f.mixture() })
	m := f.mixer()
	m.closed(40, seed)
	k := &killer{f: f, rng: rand.New(rand.NewPCG(seed, 2))}
	began := time.Now()
	for range cycles {
		k.cycle(t.Context())
	}
	k.revive(t.Context())
	pause(t.Context(), time.Second)
	seen := m.finish()
	took := time.Since(began)
	f.drained(t.Context())
	a := f.audit(t.Context(), seen)
	conservation, listed := f.conserved(t.Context()), f.listed(t.Context())
	figures("accuracy cycles=%d seed=%d kills_dp=%d kills_cp=%d kills_pg=%d took=%s sent=%d %s conservation=%d listed=%d",
		cycles, seed, k.nodes, k.planes, k.databases, short(took), len(seen), a, conservation, listed)
	tabulate(t, seen)
	a.judge(t)
	if conservation != 0 {
		t.Errorf("aggregates and cursors differ by %d", conservation)
	}
	if listed != a.requests {
		t.Errorf("GET /requests lists %d requests, the table has %d", listed, a.requests)
	}
	for _, o := range seen {
		if o.unfinished {
			t.Errorf("%s %s: the stream ended as if it were whole, without a terminal event", o.kind, o.id)
		}
	}
	if a.unjournalled != 0 {
		t.Errorf("%d requests were never on disk, though nothing is wrong with it", a.unjournalled)
	}
	if a.killed == 0 {
		t.Error("nothing was killed in flight")
	}
}

// killer 一轮轮地杀。
type killer struct {
	f                        *fleet
	rng                      *rand.Rand
	nodes, planes, databases int
}

// cycle 等一会儿，杀一个或几个，等一会儿，都起回来；三次里有一次不等它们就绪，下一轮就杀在启动的半途。
func (k *killer) cycle(ctx context.Context) {
	k.f.t.Helper()
	pause(ctx, time.Duration(200+k.rng.IntN(900))*time.Millisecond)
	for _, victim := range k.victims() {
		switch victim {
		case 0, 1:
			k.f.Dataplanes[victim].Kill()
			k.nodes++
		case 2:
			k.f.Controlplane.Kill()
			k.planes++
		case 3:
			k.f.pg.Crash()
			k.databases++
		}
	}
	pause(ctx, time.Duration(k.rng.IntN(500))*time.Millisecond)
	if k.rng.IntN(3) > 0 {
		k.revive(ctx)
	} else {
		k.launch(ctx)
	}
}

// victims 是这一轮要杀的：多半一个，偶尔两三个一起。
func (k *killer) victims() []int {
	n := []int{1, 1, 1, 2, 3}[k.rng.IntN(5)]
	return k.rng.Perm(4)[:n]
}

// launch 起回死了的，不等。数据库先起：控制面启动时连不上它就结束。
func (k *killer) launch(ctx context.Context) {
	k.f.t.Helper()
	if !k.f.pg.Running() {
		if err := k.f.pg.Start(ctx); err != nil {
			k.f.t.Fatal(err)
		}
	}
	for _, p := range append([]*stack.Process{k.f.Controlplane}, k.f.Dataplanes...) {
		select {
		case <-p.Done():
			if err := p.Launch(); err != nil {
				k.f.t.Fatal(err)
			}
		default:
		}
	}
}

// revive 起回死了的并等它们都就绪；数据库还在恢复时控制面会自己结束，那就再起。
func (k *killer) revive(ctx context.Context) {
	k.f.t.Helper()
	for range 20 {
		k.launch(ctx)
		err := k.f.Controlplane.Await(ctx)
		if errors.Is(err, stack.ErrDied) {
			pause(ctx, 100*time.Millisecond)
			continue
		}
		if err != nil {
			k.f.t.Fatal(err)
		}
		for i := range k.f.Dataplanes {
			if err := k.f.AwaitReady(ctx, i); err != nil {
				k.f.t.Fatal(err)
			}
		}
		return
	}
	k.f.t.Fatalf("the control plane does not come back\n%s", k.f.Controlplane.Tail())
}

// conserved 重起控制面（它一起来就核对一次），给出各栏之差的绝对值之和。
func (f *fleet) conserved(ctx context.Context) (sum int64) {
	f.t.Helper()
	f.Controlplane.Kill()
	if err := f.Controlplane.Start(ctx); err != nil {
		f.t.Fatal(err)
	}
	for range 50 {
		found := false
		sum = 0
		for _, v := range f.planeMetric("vega_usage_conservation_difference") {
			found, sum = true, sum+int64(math.Abs(v))
		}
		if found {
			return sum
		}
		pause(ctx, 100*time.Millisecond)
	}
	f.t.Fatal("the control plane does not check conservation")
	return 0
}

// listed 一页页翻完 GET /requests，数不同的请求号。
func (f *fleet) listed(ctx context.Context) int {
	f.t.Helper()
	ids := map[string]bool{}
	for cursor := ""; ; {
		var page struct {
			Items      []struct{ ID string }
			NextCursor *string `json:"next_cursor"`
		}
		if err := f.Admin.Call(ctx, http.MethodGet, "/requests?limit=200&cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
			f.t.Fatal(err)
		}
		for _, item := range page.Items {
			ids[item.ID] = true
		}
		if page.NextCursor == nil {
			return len(ids)
		}
		cursor = *page.NextCursor
	}
}

// planeMetric 是控制面的一个指标，各组标签各一个数；没有即空。
func (f *fleet) planeMetric(name string) (values []float64) {
	f.t.Helper()
	resp, err := f.client.Get(strings.TrimSuffix(f.Controlplane.Ready, "/readyz") + "/metrics")
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		series, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil && (series == name || strings.HasPrefix(series, name+"{")) {
			values = append(values, v)
		}
	}
	return values
}

// tabulate 说每一种请求各有什么下场。
func tabulate(t *testing.T, seen []outcome) {
	t.Helper()
	rows := map[string]int{}
	for _, o := range seen {
		what := strconv.Itoa(o.status)
		switch {
		case o.aborted:
			what = "hung up"
		case o.err != nil:
			what = "broken"
		}
		rows[fmt.Sprintf("%-7s %s", o.kind, what)]++
	}
	for row, n := range rows {
		t.Logf("%s: %d", row, n)
	}
}

// parameter 是环境里的一个非负整数；没有即缺省。
func parameter(t *testing.T, name string, otherwise int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		t.Fatalf("%s: %q is not a number", name, v)
	}
	return n
}
