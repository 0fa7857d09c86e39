package admission_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/embedded"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

func migrate(ctx context.Context, url string) error {
	_, err := postgres.Migrate(ctx, url)
	return err
}

func openTables(t *testing.T, url string) *postgres.Admission {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	a, err := s.OpenAdmission(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func execute(t *testing.T, url, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// rule 是一段当任：从 Lead 被调用到它返回。
type rule struct {
	who      string
	term     uint64
	from, to time.Time
	lease    *admission.Lease
	ctx      context.Context
}

// history 记下各候选人当任的时段；同时只能有一个。
type history struct {
	t  *testing.T
	mu sync.Mutex
	// now 是正在当任的，rules 是当完的。
	now   []*rule
	rules []*rule
}

func (h *history) lead(who string) func(context.Context, *admission.Lease) error {
	return func(ctx context.Context, l *admission.Lease) error {
		r := &rule{who: who, term: l.Term, from: time.Now(), lease: l, ctx: ctx}
		h.mu.Lock()
		h.now = append(h.now, r)
		if len(h.now) > 1 {
			h.t.Errorf("%s leads term %d beside %s in term %d", who, l.Term, h.now[0].who, h.now[0].term)
		}
		h.mu.Unlock()
		<-ctx.Done()
		h.mu.Lock()
		defer h.mu.Unlock()
		r.to = time.Now()
		h.now = h.now[:0]
		h.rules = append(h.rules, r)
		return context.Cause(ctx)
	}
}

func (h *history) leader() (r rule, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.now) == 0 {
		return rule{}, false
	}
	return *h.now[0], true
}

func (h *history) past() []*rule {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rules
}

// await 等到 who（空即任何人）当任。
func (h *history) await(who string) rule {
	h.t.Helper()
	var r rule
	eventually(h.t, "a leader "+who, func() (ok bool) {
		r, ok = h.leader()
		return ok && (who == "" || r.who == who)
	})
	return r
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// stand 让一个候选人参选，返回要它停下并等它停下的函数。
func (h *history) stand(who, url string, cfg admission.ElectorConfig) (stop func()) {
	h.t.Helper()
	cfg.Address = who
	e := admission.NewElector(cfg, admission.ElectorDeps{Seats: openTables(h.t, url), Lead: h.lead(who), Log: zap.NewNop()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("%s: %v", who, err)
		}
	})
	h.t.Cleanup(stop)
	return stop
}

// quick 的各个时长是缺省的五分之一。
var quick = admission.ElectorConfig{TTL: 1200 * time.Millisecond, Poll: 50 * time.Millisecond}

func TestElector_HandsOverAtOnceWhenStopped(t *testing.T) {
	url := pgtest.New(t, migrate)
	h := &history{t: t}
	stop := h.stand("one", url, admission.ElectorConfig{})
	first := h.await("one")
	if left := first.lease.Left(); left <= 2*time.Second || left > 4500*time.Millisecond {
		t.Errorf("a lease of 6 s less a margin of 1.5 s has %v left", left)
	}
	h.stand("two", url, admission.ElectorConfig{})
	time.Sleep(600 * time.Millisecond) // 让 two 看见有人当任
	stop()
	second := h.await("two")
	gap := second.from.Sub(h.past()[0].to)
	t.Logf("handover_gap=%v (default timings)", gap.Round(time.Millisecond))
	if second.term != first.term+1 || gap > time.Second || gap < 0 {
		t.Errorf("term %d after %d, gap %v", second.term, first.term, gap)
	}
	if !first.lease.First || second.lease.First {
		t.Errorf("first term: %v, %v", first.lease.First, second.lease.First)
	}
}

func TestElector_StepsDownBeforeTheRowExpiresWhenTheDatabaseIsSilent(t *testing.T) {
	direct := pgtest.New(t, migrate)
	p := newProxy(t, direct)
	h := &history{t: t}
	h.stand("one", p.url, quick)
	h.await("one")
	h.stand("two", direct, quick)
	time.Sleep(quick.TTL)
	p.set(true, false)
	silenced := time.Now()
	second := h.await("two")
	p.set(false, false)
	lost := h.past()[0]
	t.Logf("silent database: stepped_down_after=%v successor_after=%v row_ttl=%v gap=%v",
		lost.to.Sub(silenced).Round(time.Millisecond), second.from.Sub(silenced).Round(time.Millisecond), quick.TTL, second.from.Sub(lost.to).Round(time.Millisecond))
	if lost.to.Sub(silenced) >= quick.TTL || second.from.Before(lost.to) || second.term != lost.term+1 {
		t.Errorf("lost %+v, then %+v", lost, second)
	}
}

func TestElector_StepsDownWhenItsConnectionsAreCutAndRefused(t *testing.T) {
	direct := pgtest.New(t, migrate)
	p := newProxy(t, direct)
	h := &history{t: t}
	h.stand("one", p.url, quick)
	first := h.await("one")
	p.set(false, true)
	p.cut()
	cut := time.Now()
	eventually(t, "the end of the term", func() bool { return len(h.past()) == 1 })
	if took := h.past()[0].to.Sub(cut); took >= quick.TTL {
		t.Errorf("stepped down after %v", took)
	} else {
		t.Logf("cut database: stepped_down_after=%v row_ttl=%v", took.Round(time.Millisecond), quick.TTL)
	}
	p.set(false, false)
	if second := h.await("one"); second.term != first.term+1 {
		t.Errorf("term %d after %d", second.term, first.term)
	}
}

func TestElector_KeepsLeadingOverABrokenConnection(t *testing.T) {
	direct := pgtest.New(t, migrate)
	p := newProxy(t, direct)
	h := &history{t: t}
	h.stand("one", p.url, quick)
	first := h.await("one")
	for range 10 {
		p.cut()
		time.Sleep(quick.TTL / 4)
	}
	if now, ok := h.leader(); !ok || now.term != first.term || len(h.past()) > 0 {
		t.Errorf("leads %v %+v, past %d", ok, now, len(h.past()))
	}
}

func TestElector_StepsDownWhenAnotherHoldsTheRow(t *testing.T) {
	url := pgtest.New(t, migrate)
	h := &history{t: t}
	h.stand("one", url, quick)
	h.await("one")
	execute(t, url, "UPDATE admission_leader SET holder = 'usurper', term = term + 5, expires_at = clock_timestamp() + interval '500 ms'")
	taken := time.Now()
	eventually(t, "the end of the term", func() bool { return len(h.past()) == 1 })
	if took := h.past()[0].to.Sub(taken); took > quick.TTL/2 {
		t.Errorf("noticed after %v", took)
	}
	if again := h.await("one"); again.term != 7 || time.Since(taken) < 500*time.Millisecond {
		t.Errorf("leads again in term %d after %v", again.term, time.Since(taken))
	}
}

// 当任者死的那一刻数据库的钟往回拨了一小时：那一行还有一小时才到期，而没有人续它。
func TestElector_TakesARowThatNobodyRenewsWhateverTheDatabaseClockSays(t *testing.T) {
	url := pgtest.New(t, migrate)
	execute(t, url, "INSERT INTO admission_leader VALUES ('admission', 'the dead', 6, clock_timestamp() + interval '1 hour', '')")
	h := &history{t: t}
	began := time.Now()
	h.stand("one", url, quick)
	r := h.await("one")
	took := r.from.Sub(began)
	t.Logf("a row that nobody renews: led after %v, row_ttl=%v", took.Round(time.Millisecond), quick.TTL)
	if r.term != 7 || took < quick.TTL {
		t.Errorf("term %d after %v", r.term, took)
	}
}

// 续着的那一行，看上去离到期再远也不归别人。
func TestElector_LeavesARowThatIsRenewedAlone(t *testing.T) {
	url := pgtest.New(t, migrate)
	execute(t, url, "INSERT INTO admission_leader VALUES ('admission', 'the living', 6, clock_timestamp() + interval '1 hour', '')")
	h := &history{t: t}
	h.stand("one", url, quick)
	for began := time.Now(); time.Since(began) < 3*quick.TTL; time.Sleep(quick.TTL / 8) {
		execute(t, url, "UPDATE admission_leader SET expires_at = expires_at + interval '1 ms'")
	}
	if r, ok := h.leader(); ok || len(h.past()) != 0 {
		t.Errorf("leads %+v, past %d", r, len(h.past()))
	}
}

func TestElector_TheLeaseEndsByItselfWhileRenewalsHang(t *testing.T) {
	direct := pgtest.New(t, migrate)
	p := newProxy(t, direct)
	h := &history{t: t}
	h.stand("one", p.url, quick)
	r := h.await("one")
	if left := r.lease.Left(); left <= 0 || left > quick.TTL*3/4 {
		t.Fatalf("a new lease has %v left", left)
	}
	p.set(true, false)
	defer p.set(false, false)
	eventually(t, "the end of the lease", func() bool { return r.lease.Left() <= 0 })
	over := time.Now()
	<-r.ctx.Done()
	if late := time.Since(over); late > 100*time.Millisecond {
		t.Errorf("told %v late", late)
	}
}

func TestElector_SurvivesARestartOfTheDatabase(t *testing.T) {
	cfg := embedded.Config{DataDir: t.TempDir(), Logger: zap.NewNop()}
	server, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate(t.Context(), server.URL()); err != nil {
		t.Fatal(err)
	}
	h := &history{t: t}
	stop := h.stand("one", server.URL(), quick)
	first := h.await("one")
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the term", func() bool { return len(h.past()) == 1 })
	if server, err = embedded.Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	up := time.Now()
	second := h.await("one")
	t.Logf("restarted database: leads again %v after it is up", second.from.Sub(up).Round(time.Millisecond))
	if second.term != first.term+1 || second.lease.First {
		t.Errorf("term %d after %d, first %v", second.term, first.term, second.lease.First)
	}
	stop()
	if err := server.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}
