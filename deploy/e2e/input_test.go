package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

func TestInput_BadRequestsGetAClearErrorAndReachNoUpstream(t *testing.T) {
	r := start(t, stack.Options{Nodes: 1, DataplaneEnv: []string{"VEGA_MAX_BODY_BYTES=1048576"}})
	before := len(r.ledger())
	for name, c := range map[string]struct {
		key, body string
		status    int
		code      string
	}{
		"no key":           {"", `{"model":"chat"}`, 401, "invalid_api_key"},
		"wrong key":        {"vg-nonsense", `{"model":"chat"}`, 401, "invalid_api_key"},
		"unknown model":    {r.key, `{"model":"nope","messages":[]}`, 404, "model_not_found"},
		"disallowed model": {r.key, `{"model":"secret","messages":[]}`, 403, "model_not_allowed"},
		"invalid JSON":     {r.key, `{"model":`, 400, "invalid_json"},
		"duplicate model":  {r.key, `{"model":"chat","model":"secret","messages":[]}`, 400, "invalid_request"},
		"escaped twin":     {r.key, `{"model":"chat","\u006dodel":"secret","messages":[]}`, 400, "invalid_request"},
		"case variant":     {r.key, `{"model":"chat","Model":"secret","messages":[]}`, 400, "invalid_request"},
		"huge body":        {r.key, `{"model":"chat","x":"` + strings.Repeat("a", 50<<20) + `"}`, 413, "request_too_large"},
	} {
		a, err := r.try(0, c.key, "/chat/completions", c.body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if a.status != c.status || a.code() != c.code || !strings.Contains(a.body, `"message":"`) {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
	if a := r.post(0, "/unknown", `{}`); a.status != 404 || !strings.Contains(a.body, `"error"`) {
		t.Errorf("unknown path: %+v", a)
	}
	if got := len(r.ledger()); got != before {
		t.Errorf("%d bad requests reached the upstream", got-before)
	}
}

func TestInput_SmuggledRequestsReachTheUpstreamAtMostOnce(t *testing.T) {
	r := start(t, stack.Options{Nodes: 1})
	body := `{"model":"chat","messages":[{"role":"user","content":"hi"}]}`
	head := "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + r.key + "\r\nContent-Type: application/json\r\n"
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	hidden := "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Smuggled: yes\r\n\r\n"
	for name, raw := range map[string]string{
		"both lengths":        head + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n", len(body)) + chunked + hidden,
		"two content lengths": head + fmt.Sprintf("Content-Length: %d\r\nContent-Length: 5\r\n\r\n", len(body)) + body,
		"unknown coding":      head + "Transfer-Encoding: xchunked\r\n\r\n" + chunked,
		"space before colon":  head + fmt.Sprintf("Content-Length : %d\r\n\r\n", len(body)) + body,
		"folded header":       head + fmt.Sprintf("X-A: b\r\n c\r\nContent-Length: %d\r\n\r\n", len(body)) + body,
		"bare CR":             head + fmt.Sprintf("X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n", len(body)) + body,
	} {
		before := len(r.ledger())
		conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(r.APIURL(0), "http://"), "/v1"))
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprint(conn, raw)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: no answer: %v", name, err)
		} else if resp.StatusCode != 200 && (resp.StatusCode < 400 || resp.StatusCode > 501) {
			t.Errorf("%s: status %d", name, resp.StatusCode)
		}
		conn.Close()
		time.Sleep(50 * time.Millisecond)
		if got := len(r.ledger()) - before; got > 1 {
			t.Errorf("%s: the upstream saw %d requests", name, got)
		}
	}
}
