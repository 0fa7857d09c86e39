package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

// TestAccuracy 混着发 JSON、流、客户端中途挂断与上游错误，然后逐 app × model 与上游自己的账对。
// 从不挂断、上游又报告用量的模型，token 要分毫不差；全部模型，attempts 要等于上游的账，requests 加 refused 要等于客户端发出的。
func TestAccuracy(t *testing.T) {
	const prices = "?latency=0&chunk_delay=0"
	s, key := start(t, 2, list{
		model("json", "j"+prices), model("stream", "s"+prices), model("fail", "f?latency=0&status=400"), model("broken", "b?latency=0&status=500"),
		model("silent", "n"+prices+"&usage=missing"), model("abort", "a?latency=80ms&chunks=20&chunk_delay=10ms"),
	}, "VEGA_FAKE_LEDGER=all")
	n := size(1500, 10000)
	sent := send(t, s, key, n)
	var ledger []entry
	settle(t, s, &ledger)
	u := query(t, s)

	var want, got totals
	for _, e := range ledger {
		want.attempts++
		if e.Finished && e.Model != "a" && e.Status == http.StatusOK {
			want.prompt, want.completion = want.prompt+e.PromptTokens, want.completion+e.CompletionTokens
		}
	}
	for _, r := range u.Rows {
		got.attempts += r.Attempts
		got.requests += r.Requests
		got.refused += r.Refused
		if r.Model != "abort" && r.Model != "silent" { // 这两种是数出来的或者半截的
			got.prompt, got.completion = got.prompt+r.PromptTokens, got.completion+r.CompletionTokens
		}
	}
	fmt.Fprintf(os.Stdout, "figures: accuracy_steady sent=%d requests=%d refused=%d lost=%d attempts=%d ledger=%d attempt_diff=%d prompt_diff=%d completion_diff=%d\n",
		sent, got.requests, got.refused, sent-got.requests-got.refused, got.attempts, want.attempts, got.attempts-want.attempts,
		got.prompt-want.prompt, got.completion-want.completion)
	if got.attempts != want.attempts {
		t.Errorf("attempts differ from the upstream's ledger")
	}
	if got.requests+got.refused != sent {
		t.Errorf("requests + refused differ from what the clients sent")
	}
	if got.prompt != want.prompt || got.completion != want.completion {
		t.Errorf("tokens of finished calls differ")
	}
}

type totals struct{ requests, refused, attempts, prompt, completion int64 }

// send 发 n 个请求，返回真的写到线上的个数。
func send(t *testing.T, s *stack.Stack, key string, n int) int64 {
	var sent atomic.Int64
	var wg sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	slots := make(chan struct{}, 48)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			one(t, s, client, key, i, &sent)
		})
	}
	wg.Wait()
	return sent.Load()
}

func one(t *testing.T, s *stack.Stack, client *http.Client, key string, i int, sent *atomic.Int64) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	models := []string{"json", "stream", "json", "stream", "fail", "broken", "silent", "abort", "abort", "stream"}
	m := models[i%len(models)]
	streams := m == "stream" || i%2 == 0
	var wrote atomic.Bool
	trace := &httptrace.ClientTrace{WroteRequest: func(info httptrace.WroteRequestInfo) {
		if info.Err == nil && !wrote.Swap(true) {
			sent.Add(1)
			if m == "abort" { // 写出之后才挂断，否则两边都无从数起
				time.AfterFunc(time.Duration(2+rand.IntN(280))*time.Millisecond, cancel)
			}
		}
	}}
	body := fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":"request number %d"}]}`, m, streams, i)
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, s.APIURL(i%2)+"/chat/completions", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	buf := make([]byte, 4096)
	for err == nil {
		_, err = resp.Body.Read(buf)
	}
}

// entry 是上游账上的一笔。
type entry struct {
	RequestID        string `json:"request_id"`
	Model            string `json:"model"`
	Status           int    `json:"status"`
	Finished         bool   `json:"finished"`
	PromptTokens     int64  `json:"prompt_tokens"`
	CompletionTokens int64  `json:"completion_tokens"`
}

type usage struct {
	Rows []struct {
		App, Model       string
		Requests         int64
		Attempts         int64
		Refused          int64
		PromptTokens     int64 `json:"prompt_tokens"`
		CompletionTokens int64 `json:"completion_tokens"`
	}
}

// settle 等到账与用量都不再变。
func settle(t *testing.T, s *stack.Stack, ledger *[]entry) {
	t.Helper()
	last, quiet := "", 0
	for deadline := time.Now().Add(30 * time.Second); quiet < 4; time.Sleep(500 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("usage does not come to rest")
		}
		*ledger = fetchLedger(t, s)
		now := fmt.Sprint(len(*ledger), query(t, s))
		if now == last {
			quiet++
		} else {
			last, quiet = now, 0
		}
	}
}

func query(t *testing.T, s *stack.Stack) usage {
	t.Helper()
	var u usage
	if err := s.Admin.Call(t.Context(), http.MethodGet, "/usage?group_by=app,model", nil, &u); err != nil {
		t.Fatal(err)
	}
	return u
}

func fetchLedger(t *testing.T, s *stack.Stack) []entry {
	t.Helper()
	resp, err := http.Get(strings.TrimSuffix(s.UpstreamURL, "/v1") + "/control/ledger")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out []entry
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}
