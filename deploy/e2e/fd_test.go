package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
)

// TestDescriptors_ConnectionsAboveTheBudgetAreRefusedCleanly 把节点放在 512 个描述符之下，开满流，再多的连接得到 503，开着的一个也不坏。
func TestDescriptors_ConnectionsAboveTheBudgetAreRefusedCleanly(t *testing.T) {
	hold := make(chan struct{})
	up := upstream(t, upstreamtest.Config{Script: func(q *upstreamtest.Request) upstreamtest.Behavior {
		b := q.Default
		if q.Stream {
			b.HoldLast = hold
		}
		return b
	}})
	r := start(t, stack.Options{Nodes: 1})
	r.apply(doc{"servers": list{server("held", up)}, "models": list{model("late", "held", "f")}})
	node := r.Dataplanes[0]
	if err := node.Stop(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	node.Args = []string{"sh", "-c", "ulimit -n 512; exec " + filepath.Join(bin, "dataplane") + " serve"}
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.AwaitReady(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	budget := printedBudget(t, node)
	t.Logf("figures: 512 descriptors leave room for %d client connections", budget)

	streams := make([]*heldStream, budget)
	for i := range streams {
		streams[i] = r.openStream()
	}
	refused := 0
	for range 50 {
		if status, body, err := r.oneShot(); err != nil || status != http.StatusServiceUnavailable {
			t.Fatalf("a connection above the budget: %d %q %v", status, body, err)
		} else if a := (answer{body: body}); a.code() == "" || !strings.Contains(body, `"param":null`) || !strings.Contains(body, `"type":"`) {
			t.Fatalf("not in OpenAI form: %s", body)
		}
		refused++
	}
	if a := get(t, r.OpsURL(0)+"/healthz"); a.status != http.StatusOK {
		t.Errorf("the ops listener at the limit: %+v", a)
	}
	if m := get(t, r.OpsURL(0)+"/metrics").body; !strings.Contains(m, fmt.Sprintf("vega_client_connections %d\n", budget)) || !strings.Contains(m, fmt.Sprintf("vega_client_connections_refused_total %d\n", refused)) {
		t.Errorf("the metrics do not count %d open and %d refused connections", budget, refused)
	}
	close(hold)
	for i, s := range streams {
		if rest, err := io.ReadAll(s.body); err != nil || !strings.Contains(string(rest), "[DONE]") {
			t.Errorf("stream %d of %d: %v, %.200q", i, budget, err, rest)
		}
		s.conn.Close()
	}
	eventually(t, 10*time.Second, "the room comes back", func() bool {
		status, _, err := r.oneShot()
		return err == nil && status == http.StatusOK
	})
	if log := logOf(t, node); strings.Contains(log, "too many open files") {
		t.Error("it ran out of descriptors")
	}
}

// printedBudget 取启动那一行里的上限与预算。
func printedBudget(t *testing.T, p *stack.Process) int {
	t.Helper()
	var budget int
	for _, l := range jsonLog(t, p) {
		if l["message"] == "starting" && l["file_descriptors"] == float64(512) {
			n, _ := l["max_connections"].(float64)
			budget = int(n)
		}
	}
	if budget < 16 || budget > 256 {
		t.Fatalf("the start line does not print a sensible limit: %d\n%s", budget, p.Tail())
	}
	return budget
}

// heldStream 是一个开着的流，各占一个连接。
type heldStream struct {
	conn net.Conn
	body io.Reader
}

func (r *rig) openStream() *heldStream {
	r.t.Helper()
	conn := r.dial()
	body := `{"model":"late","stream":true,"messages":[]}`
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", r.key, len(body), body)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("a stream within the budget: %v %+v", err, resp)
	}
	return &heldStream{conn, resp.Body}
}

// oneShot 在新的连接上要一次。
func (r *rig) oneShot() (int, string, error) {
	conn := r.dial()
	defer conn.Close()
	body := chatBody
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", r.key, len(body), body)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}

func (r *rig) dial() net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(r.APIURL(0), "http://"), "/v1"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}
