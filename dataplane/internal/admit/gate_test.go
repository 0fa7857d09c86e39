package admit

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestAcquire_TakesAnyCandidateThatIsNotPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t)
		g.Pause(a, time.Minute)
		var p Permit
		if err := g.Acquire(t.Context(), Ask{Candidates: list{a, b}, Deadline: in(time.Second)}, &p); err != nil || p.Target != b {
			t.Fatalf("%v %+v", err, p)
		}
		if got := g.Servers()["b"]; got.InFlight != 1 {
			t.Fatalf("%+v", got)
		}
		p.Release()
		p.Release()
		if g.Leaks() != 0 || g.Totals() != (Load{}) {
			t.Fatalf("leaks %d, totals %+v", g.Leaks(), g.Totals())
		}
	})
}

func TestAcquire_WaitsForTheEarliestPauseToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t)
		g.Pause(a, 3*time.Second)
		g.Pause(b, 2*time.Second)
		begin := time.Now()
		var p Permit
		done := make(chan error, 1)
		go func() {
			done <- g.Acquire(t.Context(), Ask{Candidates: list{a, b}, Deadline: in(10 * time.Second)}, &p)
		}()
		synctest.Wait()
		if got := g.Totals(); got.Waiting != 1 || g.Servers()["a"].Waiting != 1 || g.Servers()["b"].Waiting != 1 {
			t.Fatalf("%+v %+v", got, g.Servers())
		}
		if err := <-done; err != nil || p.Target != b || time.Since(begin) != 2*time.Second {
			t.Fatalf("%v %+v after %v", err, p, time.Since(begin))
		}
		p.Release()
		if g.Totals() != (Load{}) {
			t.Fatalf("%+v", g.Totals())
		}
	})
}

func TestAcquire_RefusesOnArrivalWhenThePauseOutlastsTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a, _ := pair(t)
		g.Pause(a, 5*time.Second)
		begin := time.Now()
		var p Permit
		for _, deadline := range []time.Time{in(time.Second), {}} {
			err := g.Acquire(t.Context(), Ask{Candidates: list{a}, Deadline: deadline}, &p)
			if e := vegaerr.As(err); e.Reason != "queue_full" || e.RetryAfter < 4*time.Second || e.RetryAfter > 6*time.Second || time.Since(begin) != 0 {
				t.Fatalf("%v", err)
			}
		}
	})
}

func TestAcquire_AnswersAtItsDeadlineWhenThePauseGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a, _ := pair(t)
		g.Pause(a, time.Second)
		time.AfterFunc(500*time.Millisecond, func() { g.Pause(a, time.Minute) })
		begin := time.Now()
		var p Permit
		err := g.Acquire(t.Context(), Ask{Candidates: list{a}, Deadline: in(3 * time.Second)}, &p)
		if vegaerr.As(err).Reason != "queue_timeout" || time.Since(begin) != 3*time.Second {
			t.Fatalf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestAcquire_MaxWaitingAndLeavingClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a, _ := pair(t)
		g.Pause(a, 30*time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		for range 2 {
			go func() {
				var p Permit
				done <- g.Acquire(ctx, Ask{Candidates: list{a}, Deadline: in(time.Minute)}, &p)
			}()
		}
		synctest.Wait()
		var p Permit
		if err := g.Acquire(ctx, Ask{Candidates: list{a}, Deadline: in(time.Minute)}, &p); vegaerr.As(err).Reason != "queue_full" {
			t.Fatalf("a third waiter: %v", err)
		}
		cancel()
		for range 2 {
			if err := <-done; vegaerr.CodeOf(err) != vegaerr.Canceled {
				t.Fatalf("%v", err)
			}
		}
		if g.Totals() != (Load{}) {
			t.Fatalf("%+v", g.Totals())
		}
	})
}

func TestAcquire_NothingWorthWaitingForIsUnavailable(t *testing.T) {
	g, _, _ := pair(t)
	var p Permit
	err := g.Acquire(t.Context(), Ask{Candidates: list{}, Deadline: in(time.Second)}, &p)
	if e := vegaerr.As(err); e.Reason != "no_server_available" || e.RetryAfter <= 0 {
		t.Fatalf("%v", err)
	}
}

func TestPause_IsCappedAndNeverShortened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a, _ := pair(t)
		now := time.Now()
		if got := g.Pause(a, time.Hour); got != now.Add(time.Minute) {
			t.Fatalf("%v", got.Sub(now))
		}
		if got := g.Pause(a, 0); got != now.Add(time.Minute) {
			t.Fatalf("shortened to %v", got.Sub(now))
		}
	})
}

// moving 是会在 Renew 时换掉的候选。
type moving struct {
	list
	next chan list
}

func (m *moving) Renew() (bool, error) {
	select {
	case m.list = <-m.next:
		return true, nil
	default:
		return false, nil
	}
}

func TestAcquire_NewConfigurationWakesThoseWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t)
		g.Pause(a, time.Minute)
		m := &moving{list{a}, make(chan list, 1)}
		var p Permit
		done := make(chan error, 1)
		begin := time.Now()
		go func() { done <- g.Acquire(t.Context(), Ask{Candidates: m, Deadline: in(2 * time.Minute)}, &p) }()
		time.Sleep(time.Second)
		m.next <- list{b}
		g.Reconfigure(compile(t, 2, []*configv1.Server{server("b")}))
		if err := <-done; err != nil || p.Target != b || time.Since(begin) != time.Second {
			t.Fatalf("%v %+v after %v: the waiter slept on", err, p.Target, time.Since(begin))
		}
		p.Release()
	})
}

func TestAcquire_ConfigurationChangedJustBeforeTheWaitIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t)
		g.Pause(a, time.Minute)
		m := &moving{list{a}, make(chan list, 1)}
		m.next <- list{b} // 换新在请求取到达时的配置之后、等之前，叫醒早已过去
		var p Permit
		begin := time.Now()
		if err := g.Acquire(t.Context(), Ask{Candidates: m, Deadline: in(2 * time.Minute)}, &p); err != nil || p.Target != b || time.Since(begin) != 0 {
			t.Fatalf("%v %+v after %v", err, p.Target, time.Since(begin))
		}
		p.Release()
	})
}

func TestReconfigure_ForgetsServersThatAreGoneAndIdle(t *testing.T) {
	g, a, b := pair(t)
	var busy, idle Permit
	for p, l := range map[*Permit]list{&busy: {a}, &idle: {b}} {
		if err := g.Acquire(t.Context(), Ask{Candidates: l}, p); err != nil {
			t.Fatal(err)
		}
	}
	idle.Release()
	g.Reconfigure(compile(t, 2, nil))
	if got := g.Servers(); len(got) != 1 || got["a"].InFlight != 1 {
		t.Fatalf("%+v", got)
	}
	busy.Release()
	if g.Totals() != (Load{}) {
		t.Fatalf("%+v", g.Totals())
	}
}
