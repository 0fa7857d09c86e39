package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/dataplane/internal/gateway"
	"github.com/vega-gateway/vega/dataplane/internal/journal"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

var errHurt = errors.New("hurt")

func streams(request []byte) bool { return bytes.Contains(request, []byte(`"stream":true`)) }

// wounded 是会在任何一处崩溃、会写不出去的客户端：既是应答的去处，也是请求的体。
type wounded struct {
	header http.Header
	body   io.Reader
	hurt   int // 还有几次操作就崩溃，崩溃过即 0；负数即从不
	deaf   bool
	status int
}

func (w *wounded) step() {
	if w.hurt > 0 {
		if w.hurt--; w.hurt == 0 {
			panic(errHurt)
		}
	}
}

func (w *wounded) Header() http.Header { return w.header }

func (w *wounded) WriteHeader(status int) { w.step(); w.status = status }

func (w *wounded) Write(p []byte) (int, error) {
	w.step()
	if w.deaf {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func (w *wounded) Read(p []byte) (int, error) { w.step(); return w.body.Read(p) }
func (w *wounded) Close() error               { return nil }

func (w *wounded) FlushError() error                { return nil }
func (w *wounded) SetWriteDeadline(time.Time) error { return nil }
func (w *wounded) SetReadDeadline(time.Time) error  { return nil }

// brittle 是偶尔给出一张一关账就崩溃的凭据的 journal。
type brittle struct {
	*journal.Journal
	opened atomic.Int64
}

func (b *brittle) Open(o journal.Opening) journal.Ticket {
	if b.opened.Add(1)%199 == 0 {
		return journal.Ticket{}
	}
	return b.Journal.Open(o)
}

// fates 数着结局：答了、被拒、连接异常结束，以及其中有几个的处理者崩溃过、准入的流断过几次。
type fates struct{ answered, refused, severed, panicked, unusable, cuts atomic.Int64 }

// live 过一个请求的一生，经过真的 Gateway.Serve。
func (f *fates) live(n *node, ep *dialect.Endpoint, r *rand.Rand) {
	text := ask
	if r.IntN(2) == 0 {
		text = askStream
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if r.IntN(7) == 0 {
		defer time.AfterFunc(time.Duration(r.Int64N(int64(6*time.Millisecond))), cancel).Stop()
	}
	w := &wounded{header: http.Header{}, body: bytes.NewReader([]byte(text)), hurt: -1, deaf: r.IntN(25) == 0}
	if r.IntN(25) == 0 {
		w.hurt = 1 + r.IntN(5)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", w)
	if err != nil {
		panic(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + secret}, "Content-Type": {"application/json"}}
	req.ContentLength = int64(len(text))
	if r.IntN(4) == 0 {
		req.Header.Set("X-Vega-Queue-Timeout-Ms", strconv.Itoa(r.IntN(8)))
	}
	if r.IntN(4) == 0 {
		req.Header.Set("X-Vega-Queue-Events", "1")
	}
	defer func() {
		cause := recover()
		var unusable runtime.Error // 零值凭据的 Close
		if err, ok := cause.(error); ok && errors.As(err, &unusable) {
			cause = errHurt
			f.unusable.Add(1)
		}
		if w.hurt == 0 || cause == any(errHurt) {
			f.panicked.Add(1)
		}
		switch {
		case cause == nil && w.status == http.StatusTooManyRequests:
			f.refused.Add(1)
		case cause == nil:
			f.answered.Add(1)
		case cause == any(http.ErrAbortHandler):
			f.severed.Add(1)
		case cause != any(errHurt):
			panic(cause)
		}
	}()
	n.gateway.Serve(w, req, ep)
}

// unrest 不停地断开准入的流、换配置，直到 ctx 结束。
func (f *fates) unrest(ctx context.Context, n *node, r *rand.Rand, compile func(limit int64) *state.State) {
	for first := true; ctx.Err() == nil; first = false {
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(r.Int64N(int64(100 * time.Millisecond)))):
		}
		if first || r.IntN(2) == 0 { // 小的一份不到一秒：至少断一次
			n.leader.cut()
			f.cuts.Add(1)
		} else {
			n.holder.Swap(compile(8 + r.Int64N(24)))
		}
	}
}

// TestLifecycles_ThroughTheRealRoadNothingLeaks 让许多请求走完真的路：客户端取消、排队到期、处理者在任何一步崩溃、
// 上游复位或只答一半、准入的流断了又连。静下来之后，一张许可、一个协程、一笔账也不剩。
func TestLifecycles_ThroughTheRealRoadNothingLeaks(t *testing.T) {
	lives, seed := int64(10_000), rand.Uint64()
	if os.Getenv("VEGA_PROOF") == "full" {
		lives = 1_000_000
	}
	goroutines := runtime.NumGoroutine()
	var left, leaked int64
	t.Run("storm", func(t *testing.T) { leaked = roadStorm(t, lives, seed) })
	for range 300 { // 关连接的协程要一会儿才真的没了
		if left = int64(max(0, runtime.NumGoroutine()-goroutines)); left == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Printf("figures: lifecycles road=gateway n=%d leaked=%d goroutines_left=%d seed=%d\n", lives, leaked, left, seed)
	if leaked != 0 || left != 0 {
		t.Errorf("leaked %d and %d goroutines with seed %d", leaked, left, seed)
	}
}

// roadStorm 起一个节点、一个授予者、两个上游，让 lives 个请求过完一生；给出静下来之后还漏着几样。
func roadStorm(t *testing.T, lives int64, seed uint64) (leaked int64) {
	a, b := moody(t, seed), moody(t, seed+1)
	compile := func(limit int64) *state.State {
		narrow := func(s *configv1.Server) {
			s.Limits, s.AbortGraceMs = &configv1.Limits{MaxConcurrency: limit}, 2
			s.Queue.TimeoutMs = 2_000
		}
		return newSnap().server("a", a+"/v1", narrow).server("b", b+"/v1", narrow).model("m", "a", "b").edit(func(s *configv1.Snapshot) {
			s.Apps[0].Limits = &configv1.Limits{MaxConcurrency: limit + 10, RequestsPerMinute: 1_000_000_000}
		}).compile(t)
	}
	books := &brittle{Journal: journal.New(journal.Config{MaxRecords: 1000})}
	n := startLed(t, compile(16))
	n.keepWith(t, books)
	ep, _ := dialect.Lookup(http.MethodPost, "/v1/chat/completions")
	ctx, calm := context.WithCancel(t.Context())
	var f fates
	var weather, workers sync.WaitGroup
	weather.Go(func() { f.unrest(ctx, n, rand.New(rand.NewPCG(seed, 0)), compile) })
	var togo atomic.Int64
	togo.Store(lives)
	for i := range 96 {
		mine := rand.New(rand.NewPCG(seed, uint64(i+1)))
		workers.Go(func() {
			for togo.Add(-1) >= 0 {
				f.live(n, ep, mine)
			}
		})
	}
	workers.Wait()
	calm()
	weather.Wait()
	leaked = residue(n, books)
	if crashes, given := f.unusable.Load(), books.opened.Load()/199; crashes > given {
		t.Errorf("%d crashes from %d unusable tickets", crashes, given)
	}
	for _, c := range []struct {
		name string
		n    int64
	}{{"answered", f.answered.Load()}, {"refused", f.refused.Load()}, {"severed", f.severed.Load()}, {"panicked", f.panicked.Load()},
		{"streams cut", f.cuts.Load()}, {"accounts", books.opened.Load()}} {
		t.Logf("%s: %d", c.name, c.n)
		if c.n == 0 {
			t.Errorf("none %s: the storm did not cover it", c.name)
		}
	}
	return leaked
}

// keepWith 换一个记账到 j、不写日志的网关，其余照旧：账本与日志记不下这么多。
func (n *node) keepWith(t *testing.T, j gateway.Journal) {
	t.Helper()
	g, err := gateway.New(gateway.Config{RetryDelay: 2 * time.Millisecond},
		gateway.Deps{State: n.holder, Gate: n.gate, Router: n.router, Upstreams: n.pool, Journal: j})
	if err != nil {
		t.Fatal(err)
	}
	n.gateway = g
}

// residue 等到善后与归还都过去，给出还漏着的许可、对不上的账与授予者还以为在外的单位。
func residue(n *node, j *brittle) (leaked int64) {
	for range 1_000 {
		total := n.gate.Totals()
		leaked = n.gate.Leaks() + n.gate.Leaked() + total.InFlight + total.Waiting + n.leader.held() + j.Stats().InFlight
		if leaked == 0 {
			return 0
		}
		time.Sleep(10 * time.Millisecond)
	}
	return leaked
}
