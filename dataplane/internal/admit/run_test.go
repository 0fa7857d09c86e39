package admit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/vega-gateway/vega/dataplane/internal/share"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

// gathered 是抓取到的文本。
func gathered(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Body.String()
}

func TestMetrics_ShowTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(1))}, app("team"))
		registry := prometheus.NewRegistry()
		g, leave := join(t, newLeader(specOf(st, "team")), "node", st, func(_ *Config, d *Deps) { d.Registerer = registry })
		defer leave()
		team, _ := st.App("team")
		ask := Ask{Candidates: list{target(t, st, "a")}, App: team, Deadline: in(time.Second)}
		first := fill(t, g, ask)
		var p, q Permit
		late := acquire(t.Context(), g, ask, &p)
		synctest.Wait()
		got := gathered(t, registry)
		for _, want := range []string{`vega_queue_waiting{server="a"} 1` + "\n", `vega_admission_permits{state="busy"} 1` + "\n", `vega_admission_permits{state="idle"} 0` + "\n",
			`vega_admission_permits{state="aborting"} 0` + "\n", "vega_admission_connected 1\n", "vega_admission_safe_mode 0\n", "vega_admission_leaked_permits 0\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("lacks %s", want)
			}
		}
		<-late
		ask.Deadline = in(time.Minute)
		next := acquire(t.Context(), g, ask, &q)
		synctest.Wait()
		first.Release()
		if err := <-next; err != nil {
			t.Fatal(err)
		}
		q.Release()
		got = gathered(t, registry)
		for _, want := range []string{`vega_admission_refusals_total{reason="queue_timeout"} 1` + "\n", `vega_queue_wait_seconds_count{app="team",server="a"} 2` + "\n", `vega_queue_waiting{server="a"} 0` + "\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("lacks %s in\n%s", want, got)
			}
		}
	})
}

func TestMetrics_SeriesAreCapped(t *testing.T) {
	registry := prometheus.NewRegistry()
	g, err := New(Config{}, Deps{Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxSeries {
		g.metrics.waited(fmt.Sprint("app-", i), "a", time.Second)
	}
	if n := strings.Count(gathered(t, registry), "vega_queue_wait_seconds_count{"); n != maxSeries+1 {
		t.Errorf("%d series", n)
	}
	if _, err := New(Config{}, Deps{Registerer: registry}); err == nil {
		t.Error("the same names registered twice")
	}
}

func TestRun_FollowsTheLeaderAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(1))})
		leaders := map[string]*leader{"first:1": newLeader(specOf(st)), "second:1": newLeader(specOf(st))}
		leaders["first:1"].Move("second:1")
		g, leave := join(t, nil, "node", st, func(c *Config, d *Deps) {
			c.Addresses = []string{"first:1"}
			d.Dial = func(addr string) (Conn, error) {
				if leaders[addr] == nil {
					return nil, errors.New("no such replica")
				}
				return leaders[addr].Dial(), nil
			}
		})
		defer leave()
		ask := Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Minute)}
		begin := time.Now()
		p := fill(t, g, ask)
		p.Release()
		if took := time.Since(begin); took > 10*time.Millisecond {
			t.Errorf("found the leader after %v", took)
		}
		leaders["second:1"].Move("first:1")
		leaders["first:1"].Move("")
		synctest.Wait()
		time.Sleep(5 * time.Second)
		if !g.state().Connected {
			t.Error("lost its way")
		}
	})
}

func TestRun_OldControlPlaneIsAskedSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a")})
		var mu sync.Mutex
		dials := 0
		g, leave := join(t, nil, "node", st, func(_ *Config, d *Deps) {
			d.Dial = func(string) (Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				dials++
				return nil, status.Error(codes.Unimplemented, "unknown service")
			}
		})
		defer leave()
		p := fill(t, g, Ask{Candidates: list{target(t, st, "a")}}) // 不限的照常
		p.Release()
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if dials < 12 || dials > 60 {
			t.Errorf("asked %d times in a minute", dials)
		}
	})
}

func TestRun_ShareCountsOnlyOnceStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(10))})
		l := newLeader(specOf(st))
		var mu sync.Mutex
		var fails = 2
		var kept *admissionv1.Share
		g, leave := join(t, l, "node", st, func(_ *Config, d *Deps) {
			d.Save = func(s *admissionv1.Share) error {
				mu.Lock()
				defer mu.Unlock()
				if fails--; fails >= 0 {
					return errors.New("disk full")
				}
				kept = s
				return nil
			}
		})
		defer leave()
		p := fill(t, g, Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Minute)})
		p.Release()
		time.Sleep(15 * time.Second)
		mu.Lock()
		early := kept
		mu.Unlock()
		time.Sleep(30 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if early != nil || kept.GetVersion() == 0 || len(kept.GetAmounts()) == 0 {
			t.Errorf("before the disk had room %v, then %v", early, kept)
		}
	})
}

func TestDepart_LeaderKnowsAtOnceThatNothingIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(10))})
		l := newLeader(specOf(st))
		g, leave := join(t, l, "node", st)
		defer leave()
		p := fill(t, g, Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Minute)})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.AfterFunc(300*time.Millisecond, p.Release)
		begin := time.Now()
		g.Depart(ctx)
		if took := time.Since(begin); took < 300*time.Millisecond || took > 400*time.Millisecond {
			t.Errorf("took %v", took)
		}
		v := l.View()
		if s := v.Servers[0]; s.InFlight != 0 || s.Held != 0 || s.Quarantined != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		if g.state().Connected {
			t.Error("came back after leaving")
		}
	})
}

func TestDepart_WithoutAStreamReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, _ := pair(t)
		begin := time.Now()
		g.Depart(t.Context())
		if took := time.Since(begin); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

func TestRun_RestartInAnOutageLivesOnTheStoredShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(4), func(s *configv1.Server) { s.Timeouts = ruleset.DefaultTimeouts(1_000) })})
		l := newLeader(specOf(st))
		file := share.New(t.TempDir(), "node")
		g, leave := join(t, l, "node", st, func(_ *Config, d *Deps) { d.Save = file.Save })
		p := fill(t, g, Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Minute)})
		p.Release()
		time.Sleep(10 * time.Second)
		leave() // 如同被杀：没有告别
		l.Leave()
		stored, err := file.Load()
		if err != nil || stored.GetVersion() == 0 {
			t.Fatalf("%v %v", stored, err)
		}
		g, leave = join(t, l, "node", st, func(c *Config, d *Deps) { c.Epoch, d.Stored, d.Save = 2, stored, file.Save })
		defer leave()
		ask := Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Hour)}
		var first Permit
		time.Sleep(5 * time.Second)
		if err := g.Acquire(t.Context(), ask, &first); reason(err) != noServer {
			t.Errorf("while calls of the last run may still run: %v", err)
		}
		time.Sleep(time.Minute)
		var held [5]Permit
		for i := range held {
			ask.Deadline = in(time.Second)
			err := g.Acquire(t.Context(), ask, &held[i])
			if i < 4 && err != nil || i == 4 && reason(err) != queueTimeout {
				t.Errorf("permit %d of a share of 4: %v", i, err)
			}
		}
		for i := range held {
			held[i].Release()
		}
		idle(t, g)
	})
}
