package push_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/vega-gateway/vega/controlplane/internal/push"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

func TestWatch_FirstMessageMustBeAValidHelloInTime(t *testing.T) {
	r := startReplica(t, "a", newMemory(), &source{cur: snap(1, 10)}, push.ServiceConfig{HelloTimeout: 100 * time.Millisecond})
	silent := open(t, r.addr).read()
	if c := status.Code(silent.wantEnd()); c != codes.DeadlineExceeded {
		t.Errorf("silent node: %v", c)
	}
	early := open(t, r.addr).read()
	early.ack(snap(1, 0))
	if c := status.Code(early.wantEnd()); c != codes.InvalidArgument {
		t.Errorf("ack before hello: %v", c)
	}
	for _, id := range []string{"", "Upper", "-a", "a-", "a b", "a/b", "a\x00b", strings.Repeat("a", 129)} {
		n := connect(t, r, id, 1, 0, "")
		if c := status.Code(n.wantEnd()); c != codes.InvalidArgument {
			t.Errorf("node id %q: %v", id, c)
		}
	}
	if c := status.Code(connect(t, r, "n1", 1, 0, strings.Repeat("d", 65)).wantEnd()); c != codes.InvalidArgument {
		t.Errorf("long digest: %v", c)
	}
	twice := connect(t, r, "n1", 1, 0, "")
	twice.send(&configv1.WatchRequest{Message: &configv1.WatchRequest_Hello{Hello: &configv1.Hello{NodeId: "n1"}}})
	if c := status.Code(twice.wantEnd()); c != codes.InvalidArgument {
		t.Errorf("second hello: %v", c)
	}
}

func TestWatch_SameDigestSendsNoBytes(t *testing.T) {
	src := &source{cur: snap(3, 1000)}
	r := startReplica(t, "a", newMemory(), src, push.ServiceConfig{})
	eventually(t, func() bool { return r.hub.Revision() == 3 })
	n := connect(t, r, "n1", 1, 2, "digest-3")
	u := n.next()
	if !u.GetUnchanged() || u.GetRevision() != 3 || len(u.GetSnapshot()) != 0 {
		t.Fatalf("got %v", u)
	}
	n.ack(u)
	// 同一内容的新版本号，在同一条流上也不带字节。
	eventually(t, func() bool { return applied(t, r, "n1") == 3 })
	same := snap(4, 1000)
	same.Digest = []byte("digest-3")
	r.publish(t, src, same)
	if u := n.next(); !u.GetUnchanged() || u.GetRevision() != 4 {
		t.Fatalf("got %v", u)
	}
	other := connect(t, r, "n2", 1, 2, "digest-2")
	if u := other.next(); u.GetUnchanged() || len(u.GetSnapshot()) != 1000 {
		t.Fatalf("a node with other content got %d bytes", len(u.GetSnapshot()))
	}
}

func applied(t *testing.T, r *replica, id string) uint64 {
	t.Helper()
	nodes, err := r.fleet.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if n.ID == id {
			return n.AppliedRevision
		}
	}
	return 0
}

func TestWatch_NackedRevisionIsNotPushedAgain(t *testing.T) {
	src := &source{cur: snap(1, 10)}
	r := startReplica(t, "a", newMemory(), src, push.ServiceConfig{})
	n := connect(t, r, "n1", 1, 0, "")
	n.nack(n.next(), "bad\nroute")
	n.quiet(300 * time.Millisecond) // 六次轮询
	// 即使数据库中断又恢复，同一版也不再来。
	src.set(snap(1, 10), errors.New("down"))
	time.Sleep(120 * time.Millisecond)
	src.set(snap(1, 10), nil)
	n.quiet(200 * time.Millisecond)
	nodes, _ := r.fleet.Nodes(t.Context())
	if len(nodes) != 1 || nodes[0].LastError != "revision 1 rejected: bad route" {
		t.Fatalf("got %+v", nodes)
	}
	r.publish(t, src, snap(2, 10))
	u := n.next()
	if u.GetRevision() != 2 {
		t.Fatalf("got revision %d", u.GetRevision())
	}
	n.ack(u)
	eventually(t, func() bool {
		nodes, _ := r.fleet.Nodes(t.Context())
		return nodes[0].AppliedRevision == 2 && nodes[0].LastError == ""
	})
}

func TestWatch_NodeAheadMakesALaggingReplicaReadTheDatabase(t *testing.T) {
	src := &source{cur: snap(5, 10)}
	r := startReplica(t, "a", newMemory(), src, push.ServiceConfig{})
	eventually(t, func() bool { return r.hub.Revision() == 5 })
	src.set(snap(7, 10), nil)
	n := connect(t, r, "n1", 1, 7, "digest-7")
	if u := n.next(); u.GetRevision() != 7 || !u.GetUnchanged() {
		t.Fatalf("got %v", u)
	}
}

func TestWatch_NodeAheadIsNotPushedBackWhileTheDatabaseIsAway(t *testing.T) {
	src := &source{cur: snap(5, 10)}
	r := startReplica(t, "a", newMemory(), src, push.ServiceConfig{})
	eventually(t, func() bool { return r.hub.Revision() == 5 })
	src.set(snap(5, 10), errors.New("down"))
	n := connect(t, r, "n1", 1, 7, "digest-7")
	n.quiet(500 * time.Millisecond)
	// 数据库回来了，确实只有 5：推它所有的。
	src.set(snap(5, 10), nil)
	if u := n.next(); u.GetRevision() != 5 || len(u.GetSnapshot()) != 10 {
		t.Fatalf("got %v", u)
	}
}

func TestWatch_NewerStreamReplacesTheOlder(t *testing.T) {
	r := startReplica(t, "a", newMemory(), &source{cur: snap(1, 10)}, push.ServiceConfig{})
	for _, epoch := range []uint64{2, 1} { // 新 epoch 与同一 epoch 的重连一样
		old := connect(t, r, "n1", 1, 0, "")
		old.next()
		fresh := connect(t, r, "n1", epoch, 0, "")
		fresh.next()
		if err := old.wantEnd(); !strings.Contains(err.Error(), "newer stream") {
			t.Fatalf("old stream ended with %v", err)
		}
		fresh.quiet(50 * time.Millisecond)
		eventually(t, func() bool {
			nodes, _ := r.fleet.Nodes(t.Context())
			return len(nodes) == 1 && nodes[0].Connected && nodes[0].Epoch == epoch
		})
		fresh.close()
		eventually(t, func() bool { nodes, _ := r.fleet.Nodes(t.Context()); return !nodes[0].Connected })
	}
}

func TestWatch_SlowNodeHoldsNobodyBackAndIsClosed(t *testing.T) {
	src := &source{cur: snap(1, 8<<20)}
	r := startReplica(t, "a", newMemory(), src, push.ServiceConfig{SendTimeout: 500 * time.Millisecond})
	eventually(t, func() bool { return r.hub.Revision() == 1 })
	slow := open(t, r.addr) // 从不读：流量窗口很快用尽
	slow.send(&configv1.WatchRequest{Message: &configv1.WatchRequest_Hello{Hello: &configv1.Hello{NodeId: "slow"}}})
	fast := connect(t, r, "fast", 1, 0, "")
	fast.ack(fast.next())
	for rev := uint64(2); rev <= 4; rev++ {
		began := time.Now()
		r.publish(t, src, snap(rev, 8<<20))
		if u := fast.next(); u.GetRevision() != rev {
			t.Fatalf("got revision %d", u.GetRevision())
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("revision %d took %v", rev, d)
		}
		fast.ack(snap(rev, 0))
	}
	eventually(t, func() bool {
		nodes, _ := r.fleet.Nodes(t.Context())
		for _, n := range nodes {
			if n.ID == "slow" {
				return !n.Connected
			}
		}
		return false
	})
	fast.quiet(50 * time.Millisecond)
}
