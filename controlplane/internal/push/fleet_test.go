package push_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/vega-gateway/vega/controlplane/internal/push"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestFleet_StatusIsShownAndAnUnreachableDatabaseCatchesUp(t *testing.T) {
	store := newMemory()
	r := startReplica(t, "a", store, &source{cur: snap(1, 10)}, push.ServiceConfig{})
	n := connect(t, r, "n1", 9, 0, "")
	n.ack(n.next())
	eventually(t, func() bool { return applied(t, r, "n1") == 1 })
	store.setDown(true)
	n.send(&configv1.WatchRequest{Message: &configv1.WatchRequest_Status{Status: &configv1.NodeStatus{
		InFlight: 3, Waiting: 4, Draining: true, Unreported: 5, LastError: "disk\x00full",
		Ejections: []*configv1.Ejection{{Server: "gpu-1", UpstreamModel: "m", Reason: "502", UntilUnixMs: 1000}},
		Journal:   &configv1.JournalStatus{Trouble: "no space\nleft", Bytes: 7, Unjournalled: 8},
	}}})
	time.Sleep(150 * time.Millisecond)
	store.setDown(false)
	eventually(t, func() bool {
		nodes, err := r.fleet.Nodes(t.Context())
		if err != nil || len(nodes) != 1 {
			return false
		}
		g := nodes[0]
		return g.InFlight == 3 && g.Waiting == 4 && g.Draining && g.Unreported == 5 && g.LastError == "disk full" &&
			g.Epoch == 9 && g.Version == "test" && g.Replica == "a" && len(g.Ejections) == 1 && g.Ejections[0].Server == "gpu-1" &&
			g.Journal != nil && *g.Journal == (push.Journal{Trouble: "no space left", Bytes: 7, Unjournalled: 8})
	})
}

func TestFleet_WaitAppliedAnswersAtTheLastAckAtANackAndAtTheTimeout(t *testing.T) {
	src := &source{cur: snap(1, 10)}
	r := startReplica(t, "a", newMemory(), src, push.ServiceConfig{})
	out, err := r.fleet.WaitApplied(t.Context(), 1, time.Second)
	if err != nil || len(out.Applied)+len(out.Pending)+len(out.Rejected) != 0 {
		t.Fatalf("no nodes: %+v %v", out, err)
	}
	a, b := connect(t, r, "a", 1, 0, ""), connect(t, r, "b", 1, 0, "")
	a.ack(a.next())
	ub := b.next()

	out, err = r.fleet.WaitApplied(t.Context(), 1, 100*time.Millisecond)
	if err != nil || strings.Join(out.Applied, ",") != "a" || strings.Join(out.Pending, ",") != "b" {
		t.Fatalf("timeout: %+v %v", out, err)
	}
	time.AfterFunc(50*time.Millisecond, func() { b.ack(ub) })
	began := time.Now()
	out, err = r.fleet.WaitApplied(t.Context(), 1, 10*time.Second)
	if err != nil || len(out.Applied) != 2 || time.Since(began) > 5*time.Second {
		t.Fatalf("ack: %+v %v after %v", out, err, time.Since(began))
	}
	r.publish(t, src, snap(2, 10))
	a.next()
	b.nack(b.next(), "no")
	began = time.Now()
	out, err = r.fleet.WaitApplied(t.Context(), 2, 10*time.Second)
	if err != nil || len(out.Rejected) != 1 || out.Rejected[0].Node != "b" || !strings.Contains(out.Rejected[0].Error, "no") ||
		len(out.Pending) != 1 || time.Since(began) > 5*time.Second {
		t.Fatalf("nack: %+v %v after %v", out, err, time.Since(began))
	}
}

func TestFleet_StopEndsAWaitWithoutPretending(t *testing.T) {
	r := startReplica(t, "a", newMemory(), &source{cur: snap(1, 10)}, push.ServiceConfig{})
	connect(t, r, "n1", 1, 0, "").next() // 不确认
	answer := make(chan error, 1)
	go func() {
		_, err := r.fleet.WaitApplied(context.Background(), 1, 10*time.Second)
		answer <- err
	}()
	time.Sleep(100 * time.Millisecond)
	began := time.Now()
	r.stop()
	if err := <-answer; vegaerr.CodeOf(err) != vegaerr.Unavailable {
		t.Errorf("the wait answered %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %s to end", took)
	}
}

func TestFleet_WaitAppliedBelievesTheNewerStreamOfAMovedNode(t *testing.T) {
	store := newMemory()
	r := startReplica(t, "a", store, &source{cur: snap(1, 10)}, push.ServiceConfig{})
	connect(t, r, "n1", 1, 0, "").next() // 半开的旧流：不会再有消息
	eventually(t, func() bool { return len(listed(t, r)) == 1 })
	moved := push.Node{ID: "n1", Epoch: 1, Connected: true, ConnectedAt: time.Now().Add(time.Second), AppliedRevision: 1}
	if _, err := store.SaveNodes(t.Context(), "b", []push.Report{{Node: moved, Session: 42}}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	out, err := r.fleet.WaitApplied(t.Context(), 1, 5*time.Second)
	if err != nil || len(out.Applied) != 1 || time.Since(began) > 2*time.Second {
		t.Errorf("%+v %v after %s", out, err, time.Since(began))
	}
}

func listed(t *testing.T, r *replica) []push.Node {
	t.Helper()
	nodes, err := r.fleet.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return nodes
}

func TestFleet_StopEndsStreamsAndMarksNodesDisconnected(t *testing.T) {
	store := newMemory()
	r := startReplica(t, "a", store, &source{cur: snap(1, 10)}, push.ServiceConfig{})
	n := connect(t, r, "n1", 1, 0, "")
	n.next()
	began := time.Now()
	r.stop()
	if c := status.Code(n.wantEnd()); c != codes.Unavailable {
		t.Errorf("stream ended with %v", c)
	}
	nodes, _ := store.ListNodes(t.Context())
	if len(nodes) != 1 || nodes[0].Connected || time.Since(began) > 2*time.Second {
		t.Fatalf("after %v: %+v", time.Since(began), nodes)
	}
}

func TestMetrics_TellConnectedBehindAndLatency(t *testing.T) {
	src := &source{cur: snap(1, 123)}
	r := startReplica(t, "a", newMemory(), src, push.ServiceConfig{})
	n := connect(t, r, "n1", 1, 0, "")
	n.ack(n.next())
	r.publish(t, src, snap(2, 123))
	u := n.next()
	if v := gauge(t, r.reg, "vega_push_nodes_behind"); v != 1 {
		t.Errorf("behind %v", v)
	}
	n.ack(u)
	eventually(t, func() bool { return gauge(t, r.reg, "vega_push_nodes_behind") == 0 })
	for name, want := range map[string]float64{
		"vega_push_connected_nodes": 1, "vega_push_head_revision": 2, "vega_push_snapshot_bytes": 123, "vega_push_latency_seconds": 1} {
		if got := gauge(t, r.reg, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// gauge 取一个指标的值；直方图取样本数。
func gauge(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			if h := m.GetHistogram(); h != nil {
				return float64(h.GetSampleCount())
			}
			return m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// refusing 是行总归别的流的 nodes 表。
type refusing struct{ *memory }

func (r refusing) SaveNodes(ctx context.Context, replica string, reports []push.Report) ([]push.Hold, error) {
	_, err := r.memory.SaveNodes(ctx, replica, reports)
	return nil, err
}

func TestFleet_StreamWhoseRowStaysWithAnotherReplicaIsClosed(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := push.NewMetrics(reg)
	hub := push.NewHub(m)
	fleet := push.NewFleet(push.FleetConfig{Replica: "a", StatusEvery: 10 * time.Millisecond, Takeover: 150 * time.Millisecond},
		push.FleetDeps{Store: refusing{newMemory()}, Hub: hub, Metrics: m, Log: zap.NewNop()})
	src := &source{cur: snap(1, 10)}
	r := serve(t, reg, m, hub, fleet, src, push.ServiceConfig{})
	n := connect(t, r, "n1", 1, 0, "")
	n.ack(n.next())
	began := time.Now()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				_ = n.stream.Send(&configv1.WatchRequest{Message: &configv1.WatchRequest_Status{Status: &configv1.NodeStatus{}}})
			}
		}
	})
	err := n.wantEnd()
	close(stop)
	wg.Wait()
	if !strings.Contains(err.Error(), "another replica") || time.Since(began) < 100*time.Millisecond {
		t.Fatalf("%v after %v", err, time.Since(began))
	}
}

func TestFleet_DrainReachesALocalNodeAtOnceAndOnlyOnce(t *testing.T) {
	store := newMemory()
	r := startReplica(t, "a", store, &source{cur: snap(1, 10)}, push.ServiceConfig{})
	n := connect(t, r, "n1", 1, 0, "")
	n.ack(n.next())
	for range 3 {
		if err := r.fleet.Drain(t.Context(), "n1"); err != nil {
			t.Fatal(err)
		}
	}
	if n.nextMessage().GetDrain() == nil {
		t.Fatal("no drain")
	}
	n.ack(snap(1, 0))
	n.quiet(150 * time.Millisecond)
	if err := r.fleet.Forget(t.Context(), "n1"); vegaerr.CodeOf(err) != vegaerr.Conflict {
		t.Fatalf("forgetting a live node: %v", err)
	}
}

func TestFleet_ANodeToldToDrainThatLeavesBeforeSayingSoHasDrained(t *testing.T) {
	r := startReplica(t, "a", newMemory(), &source{cur: snap(1, 10)}, push.ServiceConfig{})
	n := connect(t, r, "n1", 1, 0, "")
	n.ack(n.next())
	if err := r.fleet.Drain(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	if n.nextMessage().GetDrain() == nil {
		t.Fatal("no drain")
	}
	// 开关刚打开时，早已备好的一份自述还说没有。
	n.send(&configv1.WatchRequest{Message: &configv1.WatchRequest_Status{Status: &configv1.NodeStatus{InFlight: 2}}})
	n.close()
	eventually(t, func() bool {
		nodes, err := r.fleet.Nodes(t.Context())
		return err == nil && len(nodes) == 1 && !nodes[0].Connected && nodes[0].Draining
	})
}

func TestFleet_TwoHundredNodesConvergeAndAReconnectStormSendsNoBytes(t *testing.T) {
	const count, size = 200, 256 << 10
	src := &source{cur: snap(1, size)}
	r := startReplica(t, "a", newMemory(), src, push.ServiceConfig{})
	eventually(t, func() bool { return r.hub.Revision() == 1 })
	var wg sync.WaitGroup
	nodes := make([]*node, count)
	for i := range nodes {
		nodes[i] = connect(t, r, fmt.Sprintf("n%d", i), 1, 1, "digest-1")
		wg.Go(func() { nodes[i].ack(nodes[i].next()) })
	}
	wg.Wait()
	if full := labelled(t, r.reg, "vega_push_updates_total", "full"); full != 0 {
		t.Errorf("%v snapshots were sent to nodes that had them", full)
	}
	began := time.Now()
	src.set(snap(2, size), nil)
	r.reloader.Wake()
	for _, n := range nodes {
		wg.Go(func() { n.ack(n.next()) })
	}
	wg.Wait()
	out, err := r.fleet.WaitApplied(t.Context(), 2, 10*time.Second)
	if err != nil || len(out.Applied) != count {
		t.Fatalf("%d applied, %d pending, %v", len(out.Applied), len(out.Pending), err)
	}
	t.Logf("%d nodes, %d KiB each: all applied in %v", count, size>>10, time.Since(began))
}

func labelled(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
