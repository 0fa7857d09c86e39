package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

func asStatus(err error, target **stack.StatusError) bool { return errors.As(err, target) }

// TestUsage_EqualsTheUpstreamLedger 混着发 JSON、流、客户端中途挂断与上游错误，然后与上游自己的账对。
// 大一些的同一件事在 proof 里。
func TestUsage_EqualsTheUpstreamLedger(t *testing.T) {
	r := start(t, stack.Options{Nodes: 2})
	r.apply(doc{
		"models": list{model("late-fail", "up", "f?latency=0&status=400"), model("late-slow", "up", "s?latency=100ms&chunks=30&chunk_delay=10ms")},
		"apps":   list{doc{"name": "team-b", "models": list{"*"}, "keys": list{doc{"name": "k", "secret": strings.Repeat("b", 40)}}}},
	})
	const n = 400
	var wg sync.WaitGroup
	sem := make(chan struct{}, 32)
	for i := range n {
		sem <- struct{}{}
		wg.Go(func() {
			defer func() { <-sem }()
			r.mixed(i)
		})
	}
	wg.Wait()
	ledger := r.ledger()
	var u usage
	eventually(t, 10*time.Second, "usage reaches what the upstream saw", func() bool {
		u = usage{}
		err := r.Admin.Call(t.Context(), http.MethodGet, "/usage?group_by=server,app,model", nil, &u)
		return err == nil && u.Totals.Attempts >= int64(len(ledger))
	})
	time.Sleep(time.Second) // 多出来的也要有机会出现
	if err := r.Admin.Call(t.Context(), http.MethodGet, "/usage?group_by=server,app,model", nil, &u); err != nil {
		t.Fatal(err)
	}
	var prompt, completion int64
	for _, e := range ledger {
		if e.Finished {
			prompt, completion = prompt+e.PromptTokens, completion+e.CompletionTokens
		}
	}
	if u.Totals.Attempts != int64(len(ledger)) {
		t.Errorf("attempts %d, the upstream saw %d", u.Totals.Attempts, len(ledger))
	}
	if u.Totals.Requests+u.Totals.Refused < n*95/100 || u.Totals.Requests > n {
		t.Errorf("requests %d refused %d of %d sent", u.Totals.Requests, u.Totals.Refused, n)
	}
	t.Logf("figures: sent=%d requests=%d attempts=%d ledger=%d aborted=%d errors=%d prompt=%d/%d completion=%d/%d", n, u.Totals.Requests,
		u.Totals.Attempts, len(ledger), u.Totals.Aborted, u.Totals.Errors, u.Totals.PromptTokens, prompt, u.Totals.CompletionTokens, completion)
}

func (r *rig) mixed(i int) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	model, stream := "chat", i%2 == 0
	switch i % 8 {
	case 3:
		model = "late-fail"
	case 5, 6:
		model = "late-slow"
		time.AfterFunc(time.Duration(rand.IntN(350))*time.Millisecond, cancel)
	}
	body := fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":"request %d"}]}`, model, stream, i)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.APIURL(i%2)+"/chat/completions", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.Repeat("b", 40))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	buf := make([]byte, 1024)
	for {
		if _, err := resp.Body.Read(buf); err != nil {
			return
		}
	}
}

// entry 是上游账上的一笔。
type entry struct {
	RequestID        string `json:"request_id"`
	Finished         bool   `json:"finished"`
	PromptTokens     int64  `json:"prompt_tokens"`
	CompletionTokens int64  `json:"completion_tokens"`
}

func (r *rig) ledger() []entry {
	r.t.Helper()
	resp, err := http.Get(strings.TrimSuffix(r.UpstreamURL, "/v1") + "/control/ledger")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out []entry
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		r.t.Fatal(err)
	}
	return out
}
