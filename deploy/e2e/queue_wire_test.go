package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

// queueMetrics 看一个等到的、一个等不到的、一个挂断的各被数了一次。
func queueMetrics(t *testing.T, l *line) {
	refusals := func(reason string) float64 {
		return l.metric(fmt.Sprintf("vega_admission_refusals_total{reason=%q}", reason))
	}
	waited := fmt.Sprintf("vega_queue_wait_seconds_count{app=%q,server=%q}", l.name, l.name)
	late, gone := refusals("queue_timeout"), refusals("canceled")
	first := l.occupy(ask{})
	eventually(t, 3*time.Second, "one unit busy", func() bool { return l.metric(`vega_admission_permits{state="busy"}`) == 1 })
	before := max(0, l.metric(waited)) // 名额紧时，占着名额的那一个也问过授予者
	second, third := l.behind(ask{node: 1}), l.behind(ask{header: map[string]string{"X-Vega-Queue-Timeout-Ms": "1500"}})
	fourth := l.behind(ask{node: 1})
	if n := l.metric(fmt.Sprintf("vega_queue_waiting{server=%q}", l.name)); n != 3 {
		t.Errorf("%v wait by the metrics, want 3", n)
	}
	fourth.hangUp()
	l.get(third).refused(t, "queue_timeout")
	l.release(2)
	l.get(first)
	l.get(second)
	eventually(t, 3*time.Second, "one timed out, one hung up, one waited", func() bool {
		return refusals("queue_timeout") == late+1 && refusals("canceled") == gone+1 && l.metric(waited) == before+1
	})
	eventually(t, 3*time.Second, "nothing busy", func() bool { return l.metric(`vega_admission_permits{state="busy"}`) == 0 })
}

// TestQueue_OverTLSAndHTTP2 让节点经 mTLS 连授予者，客户端经 HTTP/2 排队：一个限额照样管着两个节点，
// 排队消息照样一行行地到，头之后的拒绝照样是一个事件，挂断一条 HTTP/2 的流照样离队。
func TestQueue_OverTLSAndHTTP2(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	grpcCert, grpcKey := ca.issue("grpc")
	httpCert, httpKey := ca.issue("http")
	nodeCert, nodeKey := ca.issueClient("node")
	q := &queueRig{keys: map[string]string{}, https: true, rig: start(t, stack.Options{Nodes: 2,
		ControlplaneEnv: []string{"VEGA_GRPC_TLS_CERT=" + grpcCert, "VEGA_GRPC_TLS_KEY=" + grpcKey, "VEGA_GRPC_TLS_CA=" + ca.file()},
		DataplaneEnv: []string{"VEGA_GRPC_TLS_CA=" + ca.file(), "VEGA_GRPC_TLS_CERT=" + nodeCert, "VEGA_GRPC_TLS_KEY=" + nodeKey,
			"VEGA_HTTP_TLS_CERT=" + httpCert, "VEGA_HTTP_TLS_KEY=" + httpKey}})}
	l := q.line(t, "wire")
	client := ca.client()
	events := map[string]string{"X-Vega-Queue-Events": "1"}

	first := l.occupy(ask{client: client})
	c := l.behind(ask{client: client, node: 1, stream: true, header: events})
	<-c.headed
	if c.err != nil || c.resp.ProtoMajor != 2 {
		t.Fatalf("%+v, %v", c.resp, c.err)
	}
	lines := bufio.NewReader(c.resp.Body)
	if comment := nextComment(t, lines); !strings.HasPrefix(comment, ": vega-queue position=1") {
		t.Errorf("%q", comment)
	}
	late := l.behind(ask{client: client, node: 1, stream: true, header: map[string]string{"X-Vega-Queue-Events": "1", "X-Vega-Queue-Timeout-Ms": "500"}})
	if a := l.get(late); a.status != http.StatusOK || !strings.HasPrefix(a.body, ": vega-queue") || strings.Count(a.body, "data: ") != 1 ||
		!strings.Contains(a.body, `data: {"error":`) || !strings.Contains(a.body, "queue_timeout") || strings.Contains(a.body, "[DONE]") {
		t.Errorf("refused after the head: %d %q", a.status, a.body)
	}
	gone := l.behind(ask{client: client, stream: true, header: events})
	gone.hangUp()
	eventually(t, 3*time.Second, "only one waits", func() bool { return l.waiting() == 1 })

	l.release(2)
	l.get(first)
	if rest, err := io.ReadAll(lines); err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("%v %q", err, rest)
	}
	if s := l.up.Stats(); s.MaxInFlight != 1 || len(l.up.Ledger()) != 2 {
		t.Errorf("the upstream saw %d at once and %d calls", s.MaxInFlight, len(l.up.Ledger()))
	}
	q.clean()
}

// TestQueue_NodesFollowTheLeader 有两个控制面：节点不论先连上哪一个，都被指到当任的那个去；当任者交班之后，
// 在等的换到下一任那里接着等，次序不变，客户端什么也看不见。
func TestQueue_NodesFollowTheLeader(t *testing.T) {
	t.Parallel()
	_, opt := scratchDatabase(t)
	opt.Nodes, opt.Replicas = 2, 1
	q := &queueRig{rig: start(t, opt), keys: map[string]string{}}
	l := q.line(t, "leader")
	for i, admin := range []*stack.Admin{&q.Admin, q.ReplicaAdmin(0)} {
		if leader := leaderBy(t, admin, l.name); leader.Address != q.GRPCAddr() {
			t.Errorf("control plane %d says that %+v leads, want %s", i+1, leader, q.GRPCAddr())
		}
	}
	term := l.queue().Leader.Term
	first := l.occupy(ask{})
	second, third := l.behind(ask{node: 1}), l.behind(ask{})
	stopped := time.Now()
	if err := q.Controlplane.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	q.Admin = *q.ReplicaAdmin(0)
	eventually(t, 10*time.Second, "both wait at the next leader", func() bool { return l.waiting() == 2 })
	t.Logf("figures: queue handed over in %s", time.Since(stopped).Round(time.Millisecond))
	if now := l.queue().Leader; now.Term <= term || now.Address == q.GRPCAddr() {
		t.Errorf("the leader after the hand-over: %+v, term before %d", now, term)
	}
	for i, c := range []*call{first, second, third} {
		l.release(1)
		if a := l.get(c); a.status != http.StatusOK {
			t.Errorf("number %d: %d %s", i, a.status, a.body)
		}
	}
	if s := l.up.Stats(); s.MaxInFlight != 1 || len(l.up.Ledger()) != 3 {
		t.Errorf("the upstream saw %d at once and %d calls", s.MaxInFlight, len(l.up.Ledger()))
	}
	q.clean()
}

type leader struct {
	Address string
	Term    uint64
}

// leaderBy 是 admin 说的、管着 server 的当任者。
func leaderBy(t *testing.T, admin *stack.Admin, server string) (found leader) {
	t.Helper()
	eventually(t, 5*time.Second, "a leader", func() bool {
		var all []queue
		if err := admin.Call(t.Context(), http.MethodGet, "/queues", nil, &all); err != nil {
			return false
		}
		for _, q := range all {
			if q.Server == server {
				found = leader(q.Leader)
			}
		}
		return found.Term > 0
	})
	return found
}
