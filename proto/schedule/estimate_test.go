package schedule

import (
	"math"
	"testing"
	"time"
)

// busy 让 server 满着，并且每个请求用 took。
func (y *yard) busy(server string, slots int64, took time.Duration) {
	y.slots(server, slots)
	for range slots {
		y.Start(1, server, "m", tokens("other", 1))
	}
	for range 100 {
		y.Served(1, server, "other", 1, took)
	}
}

func near(t *testing.T, what string, got time.Duration, want float64) {
	t.Helper()
	if math.Abs(got.Seconds()-want) > want/20+0.001 {
		t.Errorf("%s: %v, want about %.2f s", what, got, want)
	}
}

func TestEstimate_UnknownUntilSomethingCompletes(t *testing.T) {
	y := newYard(t)
	y.slots("s", 1)
	y.Start(1, "s", "m", tokens("a", 1))
	if d := y.Estimate(1, "s", tokens("a", 1)); d != -1 {
		t.Fatalf("%v, want -1", d)
	}
	w := &Waiter{Request: *tokens("a", 1), ID: 1, Arrived: 1, Deadline: 2, Candidates: to("s")}
	if _, refused := y.Arrive(1, w, true); refused {
		t.Fatal("refused by an estimate that is not known")
	}
	if p := y.Place(1, w); p.Position != 1 || p.Wait != -1 {
		t.Fatalf("%+v", p)
	}
}

func TestEstimate_ZeroWhenItCanStart(t *testing.T) {
	y := newYard(t)
	y.slots("s", 1)
	for _, server := range []string{"s", "unlimited"} {
		if d := y.Estimate(1, server, tokens("a", 1)); d != 0 {
			t.Errorf("%s: %v", server, d)
		}
	}
}

// 位置与等待随队伍长，随名额与 server 多而短。
func TestEstimate_IsPositionOverCapacity(t *testing.T) {
	y := newYard(t)
	y.busy("s1", 4, 8*time.Second)
	y.busy("s2", 2, 4*time.Second)
	near(t, "empty queue", y.Estimate(1, "s1", tokens("a", 1)), 2)
	var last *Waiter
	for i := range Time(10) {
		last = y.wait(2+i, "x", tokens("a", 1), to("s1"))
	}
	y.expect(20)
	if p := y.Place(20, last); p.Position != 10 {
		t.Errorf("position %d", p.Position)
	} else {
		near(t, "tenth", p.Wait, 20)
	}
	both := y.wait(30, "y", tokens("b", 1), to("s1", "s2"))
	y.expect(30)
	p := y.Place(30, both)
	if p.Position != 1 {
		t.Errorf("position %d", p.Position)
	}
	near(t, "over both servers", p.Wait, 1)
}

// 别的 app 排得再长，也只按份额挡在前面。
func TestEstimate_KnowsTheShareOfItsFlow(t *testing.T) {
	y := newYard(t)
	y.busy("s", 1, time.Second)
	for i := range Time(100) {
		y.wait(2+i, "x", tokens("flood", 1), to("s"))
	}
	var last *Waiter
	for i := range Time(4) {
		last = y.wait(200+i, "y", &Request{App: "small", Class: Standard, Weight: 3, Cost: Cost{Prompt: 1}}, to("s"))
	}
	y.expect(300)
	p := y.Place(300, last)
	if p.Position != 5 {
		t.Errorf("position %d, want 3/(3/4)+1 = 5", p.Position)
	}
	near(t, "wait", p.Wait, 5)
}

func TestEstimate_RateLimitWaitsForItsRefill(t *testing.T) {
	y := newYard(t)
	p := Pool{Server: "s", Kind: Requests}
	y.SetCap(1, p, Cap{Mode: Rate, N: 61, BurstPercent: 1})
	y.Take(1, p, 1)
	var last *Waiter
	for i := range Time(5) {
		last = y.wait(2+i, "x", tokens("a", 1), to("s"))
	}
	y.expect(10)
	near(t, "fifth", y.Place(10, last).Wait, 5)
}

func TestEstimate_RefusesWhatCannotBeServedInTime(t *testing.T) {
	y := newYard(t)
	y.busy("s", 1, 10*time.Second)
	for i := range Time(2) {
		y.wait(2+i, "x", tokens("a", 1), to("s"))
	}
	y.expect(10)
	for _, c := range []struct {
		left    time.Duration
		refused bool
	}{{32 * time.Second, true}, {34 * time.Second, false}} {
		w := &Waiter{Request: *tokens("a", 1), ID: 9, Arrived: 10, Deadline: Time(10).Add(c.left), Candidates: to("s")}
		r, refused := y.Arrive(10, w, true)
		if refused != c.refused {
			t.Fatalf("%v left: refused %v", c.left, refused)
		}
		if refused {
			near(t, "retry after", r.RetryAfter, 30)
		}
		if refused && r.Code != "queue_full" {
			t.Fatal(r)
		}
		y.Remove(10, w)
	}
}

// 挡住它的是 app 自己的限额时，码也这样说。
func TestEstimate_NamesTheLimitOfTheApp(t *testing.T) {
	y := newYard(t)
	y.busy("s", 8, 100*time.Millisecond)
	own := Pool{App: "a", Kind: InFlight}
	y.SetCap(1, own, Cap{Mode: Count, N: 1})
	y.Take(1, own, 1)
	for range 100 {
		y.Served(1, "s", "a", 1, 20*time.Second)
	}
	for range 8 {
		y.done(1, "s")
	}
	y.wait(2, "x", tokens("a", 1), to("s"))
	y.expect(3)
	w := &Waiter{Request: *tokens("a", 1), ID: 9, Arrived: 4, Deadline: Time(4).Add(30 * time.Second), Candidates: to("s")}
	r, refused := y.Arrive(4, w, true)
	if !refused || r.Code != "rate_limit_exceeded" {
		t.Fatalf("%v %+v", refused, r)
	}
	near(t, "retry after", r.RetryAfter, 40)
	if d := y.Estimate(4, "s", tokens("b", 1)); d != 0 {
		t.Fatalf("another app waits %v", d)
	}
}
