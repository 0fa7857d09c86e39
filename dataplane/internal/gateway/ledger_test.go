package gateway_test

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// TestServe_AttemptsEqualTheUpstreamsLedgerUnderRandomAborts 是准账的那个测试：
// 几千个混杂的请求，许多在任意时刻被客户端掐断，上游随手断开、拒绝、限流。
func TestServe_AttemptsEqualTheUpstreamsLedgerUnderRandomAborts(t *testing.T) {
	behave := func(r *upstreamtest.Request) upstreamtest.Behavior {
		switch rand.IntN(20) {
		case 0:
			return upstreamtest.Behavior{Status: 500}
		case 1:
			return upstreamtest.Behavior{Status: 429, RetryAfterMS: "1"}
		case 2:
			return upstreamtest.Behavior{Drop: upstreamtest.CutReset}
		case 3:
			return upstreamtest.Behavior{Drop: upstreamtest.CutFIN}
		case 4:
			return upstreamtest.Behavior{Half: upstreamtest.CutReset, HalfAfter: 2}
		case 5:
			return upstreamtest.Behavior{Half: upstreamtest.CutFIN, HalfAfter: 3}
		case 6:
			return upstreamtest.Behavior{Half: upstreamtest.CutShort, HalfAfter: 3}
		case 7, 8, 9:
			return upstreamtest.Behavior{ChunkDelay: time.Millisecond, Chunks: 4}
		case 10:
			return upstreamtest.Behavior{Latency: 3 * time.Millisecond}
		case 11:
			return upstreamtest.Behavior{Status: 400}
		}
		return upstreamtest.Behavior{Chunks: 3}
	}
	us := []*upstreamtest.Server{upstream(t, upstreamtest.Config{Script: behave}), upstream(t, upstreamtest.Config{Script: behave})}
	n := start(t, newSnap().server("a", us[0].URL()+"/v1").
		server("b", us[1].URL()+"/v1", func(s *configv1.Server) { s.OnDisconnect = configv1.OnDisconnect_ON_DISCONNECT_DRAIN }).
		model("m", "a", "b").compile(t))

	const workers, each = 24, 150
	var clients sync.WaitGroup
	for range workers {
		clients.Go(func() {
			for range each {
				n.randomCall(t)
			}
		})
	}
	clients.Wait()
	settle(t, n, us...)

	records := n.journal.all()
	seen := map[string]bool{}
	for _, r := range records {
		if seen[r.Id] {
			t.Fatalf("%s is recorded twice", r.Id)
		}
		seen[r.Id] = true
		rows := append(us[0].Attempts(r.Id), us[1].Attempts(r.Id)...)
		if len(rows) != len(r.Attempts) {
			t.Errorf("%s: %d attempts, ledger %d: %v", r.Id, len(r.Attempts), len(rows), r.Attempts)
		}
	}
	ledger := us[0].Stats().Requests + us[1].Stats().Requests
	if got := attemptsOf(records); int64(got) != ledger {
		t.Fatalf("%d attempts, ledger %d", got, ledger)
	}
	if open := n.journal.open(); open != 0 {
		t.Fatalf("%d requests are still on the books as open", open)
	}
	t.Logf("%d requests, %d records, %d attempts, ledger %d", workers*each, len(records), attemptsOf(records), ledger)
}

// randomCall 发一个随机的请求，三成在随机的时刻掐断。
func (n *node) randomCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if rand.IntN(10) < 3 {
		timer := time.AfterFunc(time.Duration(rand.IntN(4000))*time.Microsecond, cancel)
		defer timer.Stop()
	}
	body := ask
	if rand.IntN(2) == 0 {
		body = askStream
	}
	resp, err := n.request(ctx, "POST", "/v1/chat/completions", body)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
}
