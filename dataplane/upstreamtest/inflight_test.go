package upstreamtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// 读到结尾的那一刻，计数必已减去、账本必已结清：反复做，竞争才会露面。
func TestInFlight_IsLeftBeforeTheLastByte(t *testing.T) {
	s := started(t, Config{Default: Behavior{Chunks: 3}})
	c := client(t)
	for i := range 300 {
		body := chatJSON
		if i%2 == 1 {
			body = chatStream
		}
		id := fmt.Sprint("r-", i)
		resp, err := c.Do(newRequest(t, t.Context(), s, "/v1/chat/completions", id, body))
		if err != nil {
			t.Fatal(err)
		}
		readUntilEnd(t, resp)
		if n := s.InFlight(); n != 0 {
			t.Fatalf("request %d: %d in flight after the last byte", i, n)
		}
		if e := entry(t, s, id); !e.Finished || !e.UsageSent || e.End.IsZero() {
			t.Fatalf("request %d is not settled: %+v", i, e)
		}
		_ = resp.Body.Close()
	}
	if st := s.Stats(); st.MaxInFlight != 1 || st.Finished != 300 || st.ByStatus[200] != 300 {
		t.Fatalf("%+v", st)
	}
}

// readUntilEnd 只读到 [DONE] 或 JSON 的最后一个字节，不等 EOF。
func readUntilEnd(t *testing.T, resp *http.Response) {
	t.Helper()
	var got strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buf)
		got.Write(buf[:n])
		if err == io.EOF || strings.HasSuffix(got.String(), "[DONE]\n\n") || (resp.ContentLength > 0 && int64(got.Len()) == resp.ContentLength) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestInFlight_IsHeldUntilTheLastPiece(t *testing.T) {
	hold := make(chan struct{})
	s := started(t, Config{Default: Behavior{HoldLast: hold}})
	resp, err := client(t).Do(newRequest(t, t.Context(), s, "/v1/chat/completions", "a", chatStream))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	buf := make([]byte, 64<<10)
	for seen := ""; !strings.Contains(seen, `"choices":[],`); {
		n, err := resp.Body.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		seen += string(buf[:n])
	}
	if n := s.InFlight(); n != 1 {
		t.Fatalf("%d in flight while the last piece is held", n)
	}
	close(hold)
	if _, err := io.ReadAll(resp.Body); err != nil || s.InFlight() != 0 {
		t.Fatalf("%v, %d in flight", err, s.InFlight())
	}
}

func TestInFlight_LargeJSONIsHeldWhileNobodyReads(t *testing.T) {
	s := started(t, Config{Default: Behavior{Body: strings.Repeat("x", 32<<20)}})
	resp, err := client(t).Do(newRequest(t, t.Context(), s, "/v1/chat/completions", "a", chatJSON))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if n := s.InFlight(); n != 1 {
		t.Fatalf("%d in flight with most of the body unread", n)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != 32<<20 || s.InFlight() != 0 {
		t.Fatalf("%d bytes, %v, %d in flight", n, err, s.InFlight())
	}
}

// 每一处等待都要立即察觉对方离开；上限一小时的等待若不被打断，测试必然超时。
func TestAbort_IsNoticedInEveryWait(t *testing.T) {
	never := make(chan struct{})
	cases := map[string]Behavior{
		"latency":     {Latency: time.Hour},
		"first byte":  {FirstByte: time.Hour},
		"chunk delay": {ChunkDelay: time.Hour},
		"hold head":   {HoldHead: never},
		"hold last":   {HoldLast: never},
		"split delay": {SplitBytes: 5, SplitDelay: time.Hour},
		"writing":     {Body: strings.Repeat("x", 32<<20)},
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			s := started(t, Config{Default: b})
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				resp, err := client(t).Do(newRequest(t, ctx, s, "/v1/chat/completions", "a", chatStream))
				if err == nil {
					<-ctx.Done()
					_ = resp.Body.Close()
				}
			})
			if err := s.WaitInFlight(within(t, 5*time.Second), 1); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			cancel()
			wg.Wait()
			if err := s.Wait(within(t, 5*time.Second), func(st Stats) bool { return st.InFlight == 0 && st.Aborted == 1 }); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("noticed after %s", took)
			}
			if e := entry(t, s, "a"); !e.Aborted || e.Finished || e.End.IsZero() {
				t.Errorf("ledger %+v", e)
			}
		})
	}
}

func TestAbort_DuringUploadIsNotAnAnswer(t *testing.T) {
	s := started(t, Config{})
	body, feed := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/v1/chat/completions", body)
	r.Header.Set("X-Request-Id", "up")
	var wg sync.WaitGroup
	wg.Go(func() {
		if resp, err := client(t).Do(r); err == nil {
			_ = resp.Body.Close()
		}
	})
	_, _ = feed.Write([]byte(`{"model":`))
	if err := s.WaitInFlight(within(t, 5*time.Second), 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = feed.CloseWithError(ctx.Err())
	wg.Wait()
	if err := s.Wait(within(t, 5*time.Second), func(st Stats) bool { return st.Aborted == 1 }); err != nil {
		t.Fatal(err)
	}
}

func TestClose_EndsHandlersThatWait(t *testing.T) {
	s := New(Config{Default: Behavior{Latency: time.Hour}}).Start()
	var wg sync.WaitGroup
	wg.Go(func() {
		if resp, err := client(t).Do(newRequest(t, t.Context(), s, "/v1/chat/completions", "a", chatJSON)); err == nil {
			_ = resp.Body.Close()
		}
	})
	if err := s.WaitInFlight(within(t, 5*time.Second), 1); err != nil {
		t.Fatal(err)
	}
	s.Close()
	wg.Wait()
	if n := s.InFlight(); n != 0 {
		t.Fatalf("%d in flight after Close", n)
	}
}

// busy_ns 是在途数的时间积分：两个各占两秒、错开一秒的请求恰是四秒。
func TestStats_BusyIsTheIntegralOfInFlight(t *testing.T) {
	clock := newClock()
	hold := []chan struct{}{make(chan struct{}), make(chan struct{})}
	s := started(t, Config{Now: clock.now, Script: func(r *Request) Behavior {
		return Behavior{HoldHead: hold[(r.Seq-1)%2]}
	}})
	var wg sync.WaitGroup
	for i := range hold {
		wg.Go(func() { post(t, s, "/v1/chat/completions", fmt.Sprint(i), chatJSON) })
		if err := s.WaitInFlight(within(t, 5*time.Second), int64(i+1)); err != nil {
			t.Fatal(err)
		}
		clock.advance(time.Second)
	}
	for i := range hold {
		close(hold[i])
		if err := s.WaitInFlight(within(t, 5*time.Second), int64(1-i)); err != nil {
			t.Fatal(err)
		}
		clock.advance(time.Second)
	}
	wg.Wait()
	if got := time.Duration(s.Stats().BusyNS); got != 4*time.Second {
		t.Errorf("busy %s, want 4s", got)
	}
	s.ResetLedger()
	if got := s.Stats().BusyNS; got != 0 {
		t.Errorf("busy %d after a reset", got)
	}
}
