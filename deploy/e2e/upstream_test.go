package e2e

import (
	"io"
	"log"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// upstream 起一个测试进程里的上游：剧本可以随时换，账本直接看得到。
func upstream(t *testing.T, cfg upstreamtest.Config) *upstreamtest.Server {
	t.Helper()
	s := upstreamtest.New(cfg).Start()
	t.Cleanup(s.Close)
	return s
}

// server 是指向 up 的声明。
func server(name string, up *upstreamtest.Server) doc {
	return doc{"name": name, "provider": "openai", "base_url": up.URL() + "/v1", "api_key": "sk-" + name}
}

// patch 读一份剧本的改写；写错是测试的错。
func patch(t *testing.T, query string) upstreamtest.Patch {
	t.Helper()
	p, err := upstreamtest.ParsePatch(query)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// calls 数账本里一个上游模型名被要过几次。
func calls(up *upstreamtest.Server, model string) int {
	n := 0
	for _, e := range up.Ledger() {
		if e.Model == model {
			n++
		}
	}
	return n
}

// balanced 等 /usage 里每个 server 的 attempts 等于它的账本；nil 是一个从没有人应门的 server，它的账是 0。
func (r *rig) balanced(ups map[string]*upstreamtest.Server) {
	r.t.Helper()
	want, got := map[string]int64{}, map[string]int64{}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var u usage
		if err := r.Admin.Call(r.t.Context(), http.MethodGet, "/usage?group_by=server", nil, &u); err != nil {
			r.t.Fatal(err)
		}
		clear(got)
		for name, up := range ups {
			want[name], got[name] = 0, 0
			if up != nil {
				want[name] = int64(len(up.Ledger()))
			}
		}
		for _, row := range u.Rows {
			if _, ours := want[row.Server]; ours {
				got[row.Server] = row.Attempts
			}
		}
		if maps.Equal(got, want) {
			r.t.Logf("figures: attempts %v equal the ledgers", got)
			return
		}
		if time.Now().After(deadline) {
			r.t.Errorf("attempts %v, the ledgers %v", got, want)
			return
		}
	}
}

// answerOf 读完一个应答。
func answerOf(t *testing.T, resp *http.Response) answer {
	t.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(raw)}
}

// quietLog 丢掉测试服务器的日志：不信任的握手是意料之中的。
func quietLog() *log.Logger { return log.New(io.Discard, "", 0) }
