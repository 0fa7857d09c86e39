package push_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func twoReplicas(t *testing.T) (*source, *replica, *replica) {
	t.Helper()
	url := pgtest.New(t, migrate)
	src := &source{cur: snap(1, 100)}
	return src, startReplica(t, "a", openStore(t, url), src, push.ServiceConfig{}),
		startReplica(t, "b", openStore(t, url), src, push.ServiceConfig{})
}

func TestPostgres_WaitAppliedSeesTheNodesOfBothReplicas(t *testing.T) {
	src, a, b := twoReplicas(t)
	na, nb := connect(t, a, "na", 1, 0, ""), connect(t, b, "nb", 1<<63+5, 0, "")
	na.ack(na.next())
	nb.ack(nb.next())
	eventually(t, func() bool { return applied(t, a, "nb") == 1 && applied(t, a, "na") == 1 })
	var took []time.Duration
	for rev := uint64(2); rev <= 21; rev++ {
		src.set(snap(rev, 100), nil)
		began := time.Now()
		a.reloader.Wake()
		b.reloader.Wake()
		go func() { na.ack(na.next()) }()
		go func() { nb.ack(nb.next()) }()
		out, err := a.fleet.WaitApplied(t.Context(), rev, 10*time.Second)
		if err != nil || !slices.Equal(out.Applied, []string{"na", "nb"}) || len(out.Pending)+len(out.Rejected) > 0 {
			t.Fatalf("revision %d: %+v %v", rev, out, err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("change to all ACKed across two replicas: p50 %v, max %v", took[len(took)/2], took[len(took)-1])

	src.set(snap(99, 100), nil)
	b.reloader.Wake()
	nb.nack(nb.next(), "cannot compile")
	out, err := a.fleet.WaitApplied(t.Context(), 99, 10*time.Second)
	if err != nil || len(out.Rejected) != 1 || out.Rejected[0].Node != "nb" {
		t.Fatalf("rejection on the other replica: %+v %v", out, err)
	}
	for _, r := range []*replica{a, b} {
		nodes, err := r.fleet.Nodes(t.Context())
		if err != nil || len(nodes) != 2 || nodes[0].Replica != "a" || nodes[1].Replica != "b" || nodes[1].Epoch != 1<<63+5 || !nodes[1].Connected {
			t.Fatalf("got %+v %v", nodes, err)
		}
	}
}

func TestPostgres_DrainAndForgetFromTheOtherReplica(t *testing.T) {
	_, a, b := twoReplicas(t)
	n := connect(t, a, "n1", 1, 0, "")
	n.ack(n.next())
	eventually(t, func() bool { return applied(t, b, "n1") == 1 })
	if err := b.fleet.Forget(t.Context(), "n1"); vegaerr.CodeOf(err) != vegaerr.Conflict {
		t.Fatalf("forgetting a connected node: %v", err)
	}
	if err := b.fleet.Drain(t.Context(), "nobody"); vegaerr.CodeOf(err) != vegaerr.NotFound {
		t.Fatalf("draining an unknown node: %v", err)
	}
	if err := b.fleet.Drain(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	n.ack(snap(1, 0)) // 节点每秒的状态即可带来；这里用一次确认代替
	if n.nextMessage().GetDrain() == nil {
		t.Fatal("no drain")
	}
	n.ack(snap(1, 0))
	n.quiet(150 * time.Millisecond) // 只说一次
	n.close()
	eventually(t, func() bool { nodes, _ := b.fleet.Nodes(t.Context()); return len(nodes) == 1 && !nodes[0].Connected })
	if err := b.fleet.Drain(t.Context(), "n1"); vegaerr.CodeOf(err) != vegaerr.Conflict {
		t.Fatalf("draining a departed node: %v", err)
	}
	// 新进程是新的 epoch，旧的退出要求与它无关。
	again := connect(t, a, "n1", 2, 0, "")
	again.ack(again.next())
	again.quiet(150 * time.Millisecond)
	again.close()
	eventually(t, func() bool { return b.fleet.Forget(t.Context(), "n1") == nil })
	if err := b.fleet.Forget(t.Context(), "n1"); vegaerr.CodeOf(err) != vegaerr.NotFound {
		t.Fatalf("forgetting twice: %v", err)
	}
}

func TestPostgres_NodeMovesBetweenReplicas(t *testing.T) {
	_, a, b := twoReplicas(t)
	for i := range 6 {
		r, name := a, "a"
		if i%2 == 1 {
			r, name = b, "b"
		}
		n := connect(t, r, "n1", 1, 1, "digest-1")
		n.ack(n.next())
		eventually(t, func() bool {
			nodes, _ := a.fleet.Nodes(t.Context())
			return len(nodes) == 1 && nodes[0].Replica == name && nodes[0].Connected
		})
		n.close()
	}
	eventually(t, func() bool { nodes, _ := a.fleet.Nodes(t.Context()); return !nodes[0].Connected })
}

func TestPostgres_ReplicaDeathLeavesItsNodesDisconnected(t *testing.T) {
	store := openStore(t, pgtest.New(t, migrate))
	row := func(id string, silent time.Duration) push.Report {
		return push.Report{Session: rand.Uint64(), Silent: silent, Node: push.Node{ID: id, Connected: true, ConnectedAt: time.Now()}}
	}
	// 死了的副本最后一次写在 11 秒前，没有来得及说断开。
	if _, err := store.SaveNodes(t.Context(), "dead", []push.Report{row("fresh", 9*time.Second), row("stale", 11*time.Second)}); err != nil {
		t.Fatal(err)
	}
	nodes, err := store.ListNodes(t.Context())
	if err != nil || len(nodes) != 2 || !nodes[0].Connected || nodes[1].Connected {
		t.Fatalf("got %+v %v", nodes, err)
	}
	if err := store.ForgetNode(t.Context(), "stale"); err != nil {
		t.Fatal(err)
	}
}

func TestPostgres_RowBelongsToTheNewerStream(t *testing.T) {
	store := openStore(t, pgtest.New(t, migrate))
	base := time.Now()
	save := func(session uint64, at time.Duration, connected bool, silent time.Duration, revision uint64) bool {
		t.Helper()
		holds, err := store.SaveNodes(t.Context(), fmt.Sprint(session), []push.Report{{Session: session, Silent: silent, Node: push.Node{
			ID: "n", Connected: connected, ConnectedAt: base.Add(at), AppliedRevision: revision}}})
		if err != nil {
			t.Fatal(err)
		}
		return len(holds) == 1
	}
	if !save(1, 0, true, 0, 1) || !save(2, time.Second, true, 0, 2) {
		t.Fatal("a newer stream takes the row")
	}
	if save(1, 0, false, 0, 1) || save(1, 0, true, 0, 1) {
		t.Fatal("an older stream must not write over a newer one")
	}
	if !save(2, time.Second, false, 0, 2) || save(1, 0, false, 0, 1) {
		t.Fatal("the owner's goodbye stands; another's goodbye does not count")
	}
	if !save(1, 0, true, 0, 3) {
		t.Fatal("a live stream takes a row nobody is connected to, whatever the clocks say")
	}
	if !save(1, 0, true, 11*time.Second, 3) || !save(3, -time.Hour, true, 0, 4) {
		t.Fatal("a live stream takes a row that has been silent for 10 s")
	}
}

func TestPostgres_WhereANodesUsageLiesIsSeenByTheOtherReplica(t *testing.T) {
	_, a, b := twoReplicas(t)
	n := connect(t, a, "n1", 1, 0, "")
	n.ack(n.next())
	says := func(st *configv1.JournalStatus, want *push.Journal) {
		t.Helper()
		n.send(&configv1.WatchRequest{Message: &configv1.WatchRequest_Status{Status: &configv1.NodeStatus{Journal: st}}})
		eventually(t, func() bool {
			nodes, err := b.fleet.Nodes(t.Context())
			return err == nil && len(nodes) == 1 && (nodes[0].Journal == nil) == (want == nil) && (want == nil || *nodes[0].Journal == *want)
		})
	}
	says(nil, nil)
	says(&configv1.JournalStatus{Trouble: "no space left on device", Bytes: 1 << 30, Unjournalled: 9}, &push.Journal{Trouble: "no space left on device", Bytes: 1 << 30, Unjournalled: 9})
	says(&configv1.JournalStatus{Durable: true, Bytes: 1}, &push.Journal{Durable: true, Bytes: 1})
}
