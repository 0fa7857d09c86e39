package upstreamtest

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

func TestLimits_ConcurrencyAnswers429AndRecovers(t *testing.T) {
	hold := make(chan struct{})
	s := started(t, Config{Limits: Limits{MaxConcurrency: 2}, Default: Behavior{HoldHead: hold}})
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			if got := post(t, s, "/v1/chat/completions", fmt.Sprint("held-", i), chatJSON); got.status != 200 {
				t.Errorf("held request got %d", got.status)
			}
		})
	}
	if err := s.WaitInFlight(within(t, 5*time.Second), 2); err != nil {
		t.Fatal(err)
	}
	got := post(t, s, "/v1/chat/completions", "third", chatJSON)
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "1" || got.header.Get("Retry-After-Ms") != "1000" ||
		gjson.Get(got.body, "error.code").String() != "rate_limit_exceeded" {
		t.Fatalf("%+v", got)
	}
	close(hold)
	wg.Wait()
	if again := post(t, s, "/v1/chat/completions", "fourth", chatJSON); again.status != 200 {
		t.Fatalf("after release: %d", again.status)
	}
	if st := s.Stats(); st.MaxInFlight != 3 || st.Refused != 1 || st.ByStatus[429] != 1 || st.ByStatus[200] != 3 {
		t.Fatalf("%+v", st)
	}
	if e := entry(t, s, "third"); e.Status != 429 || !e.Finished || e.Model != "gpt-4o" || e.UsageSent {
		t.Fatalf("ledger %+v", e)
	}
}

func TestLimits_ModelListingIsFree(t *testing.T) {
	s := started(t, Config{Limits: Limits{RequestsPerMinute: 1}})
	for range 3 {
		resp, err := client(t).Get(s.URL() + "/v1/models/gpt-4o")
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		_ = resp.Body.Close()
	}
	if st := s.Stats(); st.MaxInFlight != 0 || st.ByPath["/v1/models/{id}"] != 3 {
		t.Fatalf("%+v", st)
	}
}

func TestLimits_RequestsPerMinuteSlidesWithTheClock(t *testing.T) {
	clock := newClock()
	s := started(t, Config{Limits: Limits{RequestsPerMinute: 2}, Now: clock.now})
	status := func() int { return post(t, s, "/v1/chat/completions", "x", chatJSON).status }
	first := status()
	clock.advance(20 * time.Second)
	second := status()
	refused := post(t, s, "/v1/chat/completions", "x", chatJSON)
	if first != 200 || second != 200 || refused.status != 429 || refused.header.Get("Retry-After") != "40" {
		t.Fatalf("%d %d %d, Retry-After %s", first, second, refused.status, refused.header.Get("Retry-After"))
	}
	clock.advance(40 * time.Second)
	if third, fourth := status(), status(); third != 200 || fourth != 429 {
		t.Fatalf("after the first left: %d %d", third, fourth)
	}
}

func TestLimits_TokensPerMinuteCountsWhatWasReported(t *testing.T) {
	clock := newClock()
	s := started(t, Config{Limits: Limits{TokensPerMinute: 100}, Now: clock.now, Default: Behavior{PromptTokens: 30, CompletionTokens: 30}})
	for i, want := range []int{200, 200, 429} {
		if got := post(t, s, "/v1/chat/completions", "x", chatJSON).status; got != want {
			t.Fatalf("request %d: %d, want %d", i, got, want)
		}
	}
	clock.advance(time.Minute)
	if got := post(t, s, "/v1/chat/completions", "x", chatJSON).status; got != 200 {
		t.Fatal(got)
	}
}

// 任何到达次序下，任何一段长为 Window 的时间里准入的都不超过限额。
func TestLimiter_NoWindowHoldsMoreThanTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		l := limiter{limits: Limits{RequestsPerMinute: limit, Window: 100}}
		at := time.Unix(0, 0)
		var admitted []time.Time
		for _, gap := range rapid.SliceOf(rapid.IntRange(0, 60)).Draw(t, "gaps") {
			at = at.Add(time.Duration(gap))
			refused, ok := l.admit(at)
			if ok {
				l.release()
				admitted = append(admitted, at)
			} else if refused.retryAfter <= 0 || refused.retryAfter > 100 {
				t.Fatalf("retry after %d", refused.retryAfter)
			}
		}
		for i := limit; i < len(admitted); i++ {
			if admitted[i].Sub(admitted[i-limit]) < 100 {
				t.Fatalf("%d admissions within one window", limit+1)
			}
		}
	})
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Unix(1_700_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
