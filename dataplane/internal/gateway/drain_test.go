package gateway_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// readOn 使 server 在客户端走后收下去，到 limits 为止。
func readOn(timeout time.Duration, tokens, calls int64) func(*configv1.Server) {
	return func(s *configv1.Server) {
		s.OnDisconnect = configv1.OnDisconnect_ON_DISCONNECT_DRAIN
		s.DrainLimits = &configv1.DrainLimits{TimeoutMs: timeout.Milliseconds(), MaxTokens: tokens, MaxConcurrency: calls}
	}
}

func TestDrain_ToTheEndIsReportedThoughTheClientLeft(t *testing.T) {
	for name, body := range map[string]string{"stream": askStream, "json": ask} {
		t.Run(name, func(t *testing.T) {
			b := upstreamtest.Behavior{Chunks: 40, ChunkDelay: 3 * time.Millisecond, PromptTokens: 5, CompletionTokens: 77}
			if body == ask {
				b = upstreamtest.Behavior{Latency: 200 * time.Millisecond, PromptTokens: 5, CompletionTokens: 77}
			}
			n, u := openai(t, upstreamtest.Config{Default: b}, readOn(20*time.Second, 4096, 64))
			n.leaveSoon(body)
			settle(t, n, u)
			r := n.last()
			if a := r.Attempts[0]; r.Outcome != usagev1.Outcome_OUTCOME_ABORTED || a.Source != reported || a.Usage.GetCompletionTokens() != 77 || a.Usage.GetPromptTokens() != 5 || u.Stats().Finished != 1 {
				t.Errorf("%v %+v", r, u.Stats())
			}
		})
	}
}

// leaveSoon 问了就走：流读到第一个字节，别的等 30 毫秒。
func (n *node) leaveSoon(body string) {
	n.t.Helper()
	ctx, cancel := context.WithCancel(n.t.Context())
	defer cancel()
	if !strings.Contains(body, "stream") {
		time.AfterFunc(30*time.Millisecond, cancel)
	}
	resp, err := n.request(ctx, http.MethodPost, "/v1/chat/completions", body)
	if err != nil {
		return
	}
	_, _ = io.ReadFull(resp.Body, make([]byte, 1))
	cancel()
	resp.Body.Close()
}

func TestDrain_EndsAtEachOfItsLimits(t *testing.T) {
	slow := upstreamtest.Behavior{Text: sentence, ChunkBytes: 6, Chunks: 4000, ChunkDelay: 5 * time.Millisecond}
	for name, c := range map[string]struct {
		b      upstreamtest.Behavior
		limits func(*configv1.Server)
		source usagev1.Source
		tokens int64 // 至少
	}{
		"time":             {slow, readOn(300*time.Millisecond, 4096, 64), partial, 10},
		"tokens":           {slow, readOn(20*time.Second, 30, 64), partial, 25},
		"time, quiet":      {upstreamtest.Behavior{Text: sentence, Chunks: 2, ChunkDelay: time.Minute}, readOn(300*time.Millisecond, 4096, 64), partial, 1},
		"reported so far":  {upstreamtest.Behavior{Usage: upstreamtest.UsageCumulative, CompletionTokens: 40_000, Chunks: 4000, ChunkDelay: 5 * time.Millisecond}, readOn(20*time.Second, 300, 64), partial, 300},
		"time, no headers": {upstreamtest.Behavior{Latency: time.Minute}, readOn(300*time.Millisecond, 4096, 64), unknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, u := openai(t, upstreamtest.Config{Default: c.b}, c.limits)
			begin := time.Now()
			body := askStream
			if c.source == unknown {
				body = ask
			}
			n.leaveSoon(body)
			settle(t, n, u)
			if took := time.Since(begin); took > 8*time.Second || strings.HasPrefix(name, "time") && took < 250*time.Millisecond {
				t.Errorf("it was read on for %v", took)
			}
			r := n.last()
			a := r.Attempts[0]
			if r.Outcome != usagev1.Outcome_OUTCOME_ABORTED || a.Source != c.source || a.Usage.GetCompletionTokens() < c.tokens || c.tokens > 0 && a.Usage.GetCompletionTokens() > 2000 || u.Stats().Aborted != 1 {
				t.Errorf("%v %+v", r, u.Stats())
			}
		})
	}
}

func TestDrain_NoMoreThanAllowedAreReadOnAtOnce(t *testing.T) {
	const clients, allowed = 6, 2
	n, u := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{Chunks: 100, ChunkDelay: 10 * time.Millisecond, CompletionTokens: 9}}, readOn(20*time.Second, 4096, allowed))
	var all sync.WaitGroup
	leave := make(chan struct{})
	for range clients {
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := n.request(ctx, http.MethodPost, "/v1/chat/completions", askStream)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() { <-leave; cancel(); resp.Body.Close() })
	}
	if err := u.WaitInFlight(t.Context(), clients); err != nil {
		t.Fatal(err)
	}
	close(leave)
	all.Wait()
	settle(t, n, u)
	sources := map[usagev1.Source]int{}
	for _, r := range n.journal.all() {
		if r.Outcome != usagev1.Outcome_OUTCOME_ABORTED {
			t.Errorf("%v", r)
		}
		sources[r.Attempts[0].Source]++
	}
	if sources[reported] != allowed || sources[partial] != clients-allowed || u.Stats().Finished != allowed || u.Stats().Aborted != clients-allowed {
		t.Errorf("%v %+v", sources, u.Stats())
	}
	// 位子还了：下一个又收得下去。
	n.leaveSoon(askStream)
	settle(t, n, u)
	if a := n.last().Attempts[0]; a.Source != reported {
		t.Errorf("after the others ended: %v", a)
	}
}

func TestDrain_ThePermitIsHeldUntilTheCallEnds(t *testing.T) {
	n, u := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{Chunks: 60, ChunkDelay: 5 * time.Millisecond}}, readOn(20*time.Second, 4096, 64))
	n.leaveSoon(askStream)
	if u.InFlight() != 1 || n.gate.Leaks() != 1 {
		t.Errorf("%d calls and %d permits out right after the client left", u.InFlight(), n.gate.Leaks())
	}
	settle(t, n, u)
}

func TestDrain_StoppingCutsWhatIsReadOnAndLetsNothingNewBegin(t *testing.T) {
	n, u := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{Chunks: 4000, ChunkDelay: 5 * time.Millisecond}}, readOn(time.Minute, 1_000_000, 64))
	n.leaveSoon(askStream)
	if u.InFlight() != 1 {
		t.Fatal("it is not read on")
	}
	n.gateway.StopDrains()
	settle(t, n, u)
	if r := n.last(); r.Outcome != usagev1.Outcome_OUTCOME_ABORTED || r.Attempts[0].Source != partial {
		t.Errorf("%v", r)
	}
	n.leaveSoon(askStream)
	settle(t, n, u)
	if u.Stats().Aborted != 2 {
		t.Errorf("%+v", u.Stats())
	}
}

func TestDrain_ServersThatCancelDoSo(t *testing.T) {
	for name, body := range map[string]string{"stream": askStream, "json": ask} {
		n, u := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{Chunks: 4000, ChunkDelay: 5 * time.Millisecond}})
		if body == ask {
			u.SetDefault(upstreamtest.Behavior{Latency: time.Minute})
		}
		begin := time.Now()
		n.leaveSoon(body)
		settle(t, n, u)
		if r := n.last(); time.Since(begin) > 5*time.Second || r.Outcome != usagev1.Outcome_OUTCOME_ABORTED || u.Stats().Aborted != 1 {
			t.Errorf("%s: %v %+v", name, r, u.Stats())
		}
	}
}
