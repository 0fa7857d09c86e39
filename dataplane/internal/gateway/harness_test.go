package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/protobuf/proto"

	"github.com/vega-gateway/vega/dataplane/internal/admit"
	"github.com/vega-gateway/vega/dataplane/internal/budget"
	"github.com/vega-gateway/vega/dataplane/internal/gateway"
	"github.com/vega-gateway/vega/dataplane/internal/httpapi"
	"github.com/vega-gateway/vega/dataplane/internal/journal"
	"github.com/vega-gateway/vega/dataplane/internal/proxy"
	"github.com/vega-gateway/vega/dataplane/internal/route"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "vg-test-secret-of-at-least-thirty-two-chars"

var pepper = []byte("0123456789abcdef0123456789abcdef")

// snap 一步步搭出一份快照。
type snap struct{ *configv1.Snapshot }

func newSnap() *snap {
	app := ruleset.NewApp("team")
	return &snap{&configv1.Snapshot{KeyPepper: pepper, Apps: []*configv1.App{app}}}
}

func (s *snap) server(name, base string, edit ...func(*configv1.Server)) *snap {
	v := ruleset.NewServer(name, base)
	v.ApiKey = "sk-upstream"
	for _, e := range edit {
		e(v)
	}
	s.Servers = append(s.Servers, v)
	return s
}

// model 加一个模型；targets 形如 "server" 或 "server/upstream-model"。
func (s *snap) model(name string, targets ...string) *snap {
	m := &configv1.Model{Name: name}
	for _, t := range targets {
		server, upstream, found := strings.Cut(t, "/")
		if !found {
			upstream = "up-" + name
		}
		m.Targets = append(m.Targets, ruleset.NewTarget(server, upstream))
	}
	s.Models = append(s.Models, m)
	return s
}

func (s *snap) edit(f func(*configv1.Snapshot)) *snap { f(s.Snapshot); return s }

func (s *snap) key(app, secret string) *snap {
	mac := ruleset.KeyMAC(pepper, secret)
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", len(s.Keys)+1)
	s.Keys = append(s.Keys, &configv1.Key{Id: id, App: app, Name: fmt.Sprint("k", len(s.Keys)), Mac: mac[:]})
	return s
}

func (s *snap) compile(t testing.TB) *state.State {
	t.Helper()
	if len(s.Keys) == 0 {
		s.key("team", secret)
	}
	byName := func(a, b interface{ GetName() string }) int { return strings.Compare(a.GetName(), b.GetName()) }
	slices.SortFunc(s.Servers, func(a, b *configv1.Server) int { return byName(a, b) })
	slices.SortFunc(s.Models, func(a, b *configv1.Model) int { return byName(a, b) })
	slices.SortFunc(s.Apps, func(a, b *configv1.App) int { return byName(a, b) })
	slices.SortFunc(s.Keys, func(a, b *configv1.Key) int { return bytes.Compare(a.Mac, b.Mac) })
	st, err := state.Compile(7, [sha256.Size]byte{}, s.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// ledger 是内存里的 journal，读法如控制面：一批批取。
type ledger struct{ *journal.Journal }

func newLedger() ledger { return ledger{journal.New(journal.Config{})} }

// records 给出迄今的记录，合计中的拒绝也算。
func (l ledger) records() (all []*usagev1.Record) {
	l.Flush()
	for from := uint64(1); ; {
		b := l.Batch(from, 1000)
		if b == nil {
			return all
		}
		all = append(all, decoded(b).GetRecords()...)
		from = b.GetLastSeq() + 1
	}
}

// decoded 如控制面收到的那样：盘上的那一份，记录以线上编码放在批里。
func decoded(b *usagev1.Batch) *usagev1.Batch {
	wire, err := proto.Marshal(b)
	if err != nil {
		panic(err)
	}
	out := &usagev1.Batch{}
	if err := proto.Unmarshal(wire, out); err != nil {
		panic(err)
	}
	return out
}

func (l ledger) all() (requests []*usagev1.Request) {
	for _, r := range l.records() {
		if q := r.GetRequest(); q != nil {
			requests = append(requests, q)
		}
	}
	return requests
}

// refused 是各个 code 的拒绝数。
func (l ledger) refused() map[string]int64 {
	m := map[string]int64{}
	for _, r := range l.records() {
		if f := r.GetRefusals(); f != nil {
			m[f.GetCode()] += f.GetCount()
		}
	}
	return m
}

// open 是 Open 了还没有结束的请求数。
func (l ledger) open() int64 { return l.Stats().InFlight }

// node 是一个真的监听着的网关。
type node struct {
	t       testing.TB
	url     string
	addr    string
	holder  *state.Holder
	gate    *admit.Gate
	router  *route.Router
	pool    *proxy.Pool
	journal ledger
	budgets *budget.Guard
	logs    *logSink
	metrics *prometheus.Registry
	client  *http.Client
	server  *http.Server
	gateway *gateway.Gateway
	leader  *leader // nil 即没有
}

type logSink struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *logSink) Write(p []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(p) }
func (s *logSink) Sync() error                 { return nil }
func (s *logSink) String() string              { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func start(t testing.TB, st *state.State, edit ...func(*gateway.Config)) *node {
	t.Helper()
	return startTraced(t, st, nil, edit...)
}

// eventEvery 是排队消息的间隔：五秒太久，测试等不起。
const eventEvery = 50 * time.Millisecond

func newGate(t testing.TB, cfg admit.Config, deps admit.Deps) *admit.Gate {
	t.Helper()
	g, err := admit.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func startTraced(t testing.TB, st *state.State, tracer trace.Tracer, edit ...func(*gateway.Config)) *node {
	t.Helper()
	return startWith(t, st, tracer, admit.Config{EventEvery: eventEvery}, admit.Deps{}, edit...)
}

func startWith(t testing.TB, st *state.State, tracer trace.Tracer, admission admit.Config, deps admit.Deps, edit ...func(*gateway.Config)) *node {
	t.Helper()
	return startOn(t, newLedger(), st, tracer, admission, deps, edit...)
}

// startOn 起一个记账在 books 上的网关。
func startOn(t testing.TB, books ledger, st *state.State, tracer trace.Tracer, admission admit.Config, deps admit.Deps, edit ...func(*gateway.Config)) *node {
	t.Helper()
	n := &node{t: t, holder: state.New(), router: route.New(route.Config{}, route.Deps{}),
		pool: proxy.New(proxy.Config{}), journal: books, logs: &logSink{}, metrics: prometheus.NewRegistry()}
	deps.Registerer = n.metrics
	n.gate = newGate(t, admission, deps)
	n.budgets = newBudgets(t, n.journal)
	cfg := gateway.Config{RetryDelay: 20 * time.Millisecond}
	for _, e := range edit {
		e(&cfg)
	}
	g, err := gateway.New(cfg, gateway.Deps{
		State: n.holder, Gate: n.gate, Router: n.router, Upstreams: n.pool, Journal: n.journal, Budgets: n.budgets,
		Log:        zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), n.logs, zap.InfoLevel)),
		Registerer: n.metrics, Tracer: tracer,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.gateway = g
	n.holder.After(g.Reconfigured)
	n.holder.Swap(st)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.addr = ln.Addr().String()
	n.url = "http://" + n.addr
	n.server = httpapi.Server(httpapi.New(httpapi.Config{}, httpapi.Deps{Gateway: g}))
	done := make(chan struct{})
	go func() { defer close(done); _ = n.server.Serve(ln) }()
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256}
	n.client = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		stop, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := n.server.Shutdown(stop); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		n.server.Close()
		<-done
		n.pool.CloseIdle()
		if leaks := n.gate.Leaks(); leaks != 0 {
			t.Errorf("%d permits leaked", leaks)
		}
	})
	return n
}

func upstream(t testing.TB, cfg upstreamtest.Config) *upstreamtest.Server {
	t.Helper()
	if cfg.Authorization == "" {
		cfg.Authorization = "Bearer sk-upstream"
	}
	u := upstreamtest.New(cfg).Start()
	t.Cleanup(u.Close)
	return u
}

// one 是最常见的布置：一个上游、一个模型 m。
func one(t testing.TB, cfg upstreamtest.Config, edit ...func(*configv1.Server)) (*node, *upstreamtest.Server) {
	t.Helper()
	u := upstream(t, cfg)
	return start(t, newSnap().server("s1", u.URL()+"/v1", edit...).model("m", "s1").compile(t)), u
}

type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func (n *node) request(ctx context.Context, method, path, body string, edit ...func(*http.Request)) (*http.Response, error) {
	n.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, n.url+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, e := range edit {
		e(r)
	}
	return n.client.Do(r)
}

func (n *node) do(method, path, body string, edit ...func(*http.Request)) answer {
	n.t.Helper()
	resp, err := n.request(n.t.Context(), method, path, body, edit...)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b), err}
}

func (n *node) chat(body string, edit ...func(*http.Request)) answer {
	n.t.Helper()
	return n.do(http.MethodPost, "/v1/chat/completions", body, edit...)
}

const (
	ask       = `{"model":"m","messages":[{"role":"user","content":"hi"}]}`
	askStream = `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`
)

// code 取出错误体的 code，并检查四个字段都在。
func (a answer) code(t testing.TB) string {
	t.Helper()
	var e struct {
		Error map[string]any `json:"error"`
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatalf("status %d: not an error body: %q", a.status, a.body)
	}
	for _, f := range []string{"message", "type", "param", "code"} {
		if _, ok := e.Error[f]; !ok {
			t.Fatalf("error body lacks %s: %s", f, a.body)
		}
	}
	code, _ := e.Error["code"].(string)
	return code
}

func want(t testing.TB, a answer, status int, code string) {
	t.Helper()
	if a.err != nil || a.status != status {
		t.Fatalf("got %d %q err=%v, want %d", a.status, a.body, a.err, status)
	}
	if code != "" && a.code(t) != code {
		t.Fatalf("got code %q, want %q: %s", a.code(t), code, a.body)
	}
}

// last 等到最后一条记录并返回；账在应答看完之前就该关了，所以通常立刻就有。
func (n *node) last() *usagev1.Request {
	n.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if all := n.journal.all(); len(all) > 0 {
			return all[len(all)-1]
		}
	}
	n.t.Fatal("no record")
	return nil
}

// settle 等到一切安静下来：没有许可在外，上游没有在途。
func settle(t testing.TB, n *node, us ...*upstreamtest.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, u := range us {
		if err := u.WaitInFlight(ctx, 0); err != nil {
			t.Fatal(err)
		}
	}
	for n.gate.Leaks() != 0 {
		if ctx.Err() != nil {
			t.Fatalf("%d permits still out", n.gate.Leaks())
		}
		time.Sleep(time.Millisecond)
	}
}

func attemptsOf(records []*usagev1.Request) int {
	total := 0
	for _, r := range records {
		total += len(r.Attempts)
	}
	return total
}
