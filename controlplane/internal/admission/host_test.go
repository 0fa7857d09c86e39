package admission_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

func lead(t *testing.T, r *replica) {
	t.Helper()
	eventually(t, "leadership", r.leading)
}

func TestAdmit_WelcomesGrantsUpToTheLimitAndMore(t *testing.T) {
	r := startReplica(t, pgtest.New(t, migrate), tuning{})
	lead(t, r)
	n := join(t, r.addr, "n1", 1, 1, 0)
	eventually(t, "welcome", n.welcomed)
	var list []*admissionv1.Descriptor
	for id := range uint64(10) {
		list = append(list, waiter(id+1, "team-a", "gpu-1"))
	}
	n.send(&admissionv1.AdmitRequest{Waiters: list})
	eventually(t, "4 grants", func() bool { return n.granted() == 4 })
	time.Sleep(100 * time.Millisecond)
	if got := n.granted(); got != 4 {
		t.Fatalf("%d grants of a limit of 4", got)
	}
	if got := r.metric("vega_admission_waiting", "app", "team-a", "server", "gpu-1"); got != 6 {
		t.Errorf("waiting %v", got)
	}
	if held, states := r.metric("vega_admission_held", "server", "gpu-1"), r.metric("vega_admission_nodes", "state", "connected"); held != 4 || states != 1 {
		t.Errorf("held %v, connected nodes %v", held, states)
	}
	// 还回一个，下一个就得到；限额改大，其余的都得到。
	n.send(&admissionv1.AdmitRequest{Returns: []*admissionv1.Amount{{Pool: inFlight("gpu-1"), Units: 1}}})
	eventually(t, "a fifth grant", func() bool { return n.granted() == 5 })
	r.hub.Publish(config(t, 2, 100))
	eventually(t, "all grants", func() bool { return n.granted() == 10 })
	if got := r.metric("vega_admission_grants_total"); got != 10 {
		t.Errorf("grants_total %v", got)
	}
	if r.said("leadership gained") != 1 || r.said("node connected") != 1 || r.said("learning finished") != 1 {
		t.Errorf("logs: %v", r.logs.All())
	}
}

func TestAdmit_RedirectsToTheLeader(t *testing.T) {
	url := pgtest.New(t, migrate)
	a := startReplica(t, url, tuning{})
	lead(t, a)
	b := startReplica(t, url, tuning{})
	eventually(t, "b knows the leader", func() bool {
		moved, err := join(t, b.addr, "n1", 1, 1, 0).ended()
		if err != nil || moved == nil || moved.GetRetryAfterUs() < 100_000 || moved.GetRetryAfterUs() > 400_000 {
			t.Fatalf("%v %v", moved, err)
		}
		return moved.GetLeaderAddr() == a.addr
	})
	if b.leading() || b.metric("vega_admission_term") != 1 {
		t.Errorf("b leads %v, term %v", b.leading(), b.metric("vega_admission_term"))
	}
}

func TestAdmit_WithoutALeaderSaysWhenToComeBack(t *testing.T) {
	url := pgtest.New(t, migrate)
	execute(t, url, "INSERT INTO admission_leader VALUES ('admission', 'a ghost', 3, clock_timestamp() + interval '1 hour', '')")
	r := startReplica(t, url, tuning{config: admission.Config{Elector: admission.ElectorConfig{TTL: time.Minute}}})
	moved, err := join(t, r.addr, "n1", 1, 1, 0).ended()
	if err != nil || moved == nil || moved.GetLeaderAddr() != "" || moved.GetRetryAfterUs() == 0 {
		t.Fatalf("%v %v", moved, err)
	}
}

// follow 做一个节点会做的：听从指路，流断了就换一个副本，直到被欢迎。
func follow(t *testing.T, replicas []*replica, id string, epoch, stream uint64, holding int64) *node {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	addr := ""
	for i := 0; time.Now().Before(deadline); i++ {
		if addr == "" {
			addr = replicas[i%len(replicas)].addr
		}
		stream++
		n := join(t, addr, id, epoch, stream, holding)
		for !n.welcomed() {
			select {
			case <-n.done:
			case <-time.After(time.Millisecond):
				continue
			}
			break
		}
		if n.welcomed() {
			return n
		}
		moved, _ := n.ended()
		n.close()
		if addr = moved.GetLeaderAddr(); addr == "" {
			time.Sleep(max(time.Duration(moved.GetRetryAfterUs())*time.Microsecond, 50*time.Millisecond))
		}
	}
	t.Fatalf("%s was never welcomed", id)
	return nil
}

func TestHost_HandsOverWithinASecond(t *testing.T) {
	url := pgtest.New(t, migrate)
	normal := tuning{config: admission.Config{Elector: admission.ElectorConfig{Poll: 250 * time.Millisecond}}}
	a := startReplica(t, url, normal)
	lead(t, a)
	b := startReplica(t, url, normal)
	n := join(t, a.addr, "n1", 1, 1, 0)
	eventually(t, "welcome", n.welcomed)
	n.send(&admissionv1.AdmitRequest{Waiters: []*admissionv1.Descriptor{waiter(1, "team-a", "gpu-1")}})
	eventually(t, "a grant", func() bool { return n.granted() == 1 })
	began := time.Now()
	go a.stop()
	moved, err := n.ended()
	told := time.Since(began)
	if err != nil || moved == nil {
		t.Fatalf("ended with %v %v", moved, err)
	}
	again := follow(t, []*replica{b}, "n1", 1, 1, 1)
	took := time.Since(began)
	again.send(&admissionv1.AdmitRequest{Waiters: []*admissionv1.Descriptor{waiter(2, "team-a", "gpu-1")}})
	eventually(t, "a grant of the new leader", func() bool { return again.granted() == 1 })
	granted := time.Since(began)
	t.Logf("hand-over: node_told=%v welcomed=%v next_grant=%v (default timings)", told.Round(time.Millisecond), took.Round(time.Millisecond), granted.Round(time.Millisecond))
	if granted > time.Second {
		t.Errorf("took %v", granted)
	}
	if again.led() != 2 || a.said("leadership handed over") != 1 {
		t.Errorf("term %d, logs %v", again.led(), a.logs.All())
	}
	if got := b.metric("vega_admission_held", "server", "gpu-1"); got != 2 {
		t.Errorf("the new leader books %v permits, want the one kept and the new one", got)
	}
}

func TestHost_ALeaderWithoutItsDatabaseStepsDownAndTellsItsNodes(t *testing.T) {
	direct := pgtest.New(t, migrate)
	p := newProxy(t, direct)
	a := startReplica(t, p.url, tuning{})
	lead(t, a)
	b := startReplica(t, direct, tuning{})
	n := join(t, a.addr, "n1", 1, 1, 2)
	eventually(t, "welcome", n.welcomed)
	p.set(false, true)
	p.cut()
	began := time.Now()
	moved, err := n.ended()
	told := time.Since(began)
	if err != nil || moved == nil || told >= quick.TTL {
		t.Fatalf("told after %v: %v %v", told, moved, err)
	}
	again := follow(t, []*replica{b, a}, "n1", 1, 1, 2)
	t.Logf("leader without database: node_told=%v (row TTL %v) welcomed_elsewhere=%v", told.Round(time.Millisecond), quick.TTL, time.Since(began).Round(time.Millisecond))
	if again.led() != 2 || a.leading() {
		t.Errorf("term %d, a still leads: %v", again.led(), a.leading())
	}
	if got := b.metric("vega_admission_held", "server", "gpu-1"); got != 2 {
		t.Errorf("the new leader books %v permits", got)
	}
}

func TestHost_ResignsForAGreaterTermAndPassesIt(t *testing.T) {
	url := pgtest.New(t, migrate)
	r := startReplica(t, url, tuning{})
	lead(t, r)
	n := dial(t, r.addr, "n1", 1, 1)
	n.base.Term = 40
	go n.listen()
	n.send(&admissionv1.AdmitRequest{Hello: &admissionv1.Hello{}})
	if moved, err := n.ended(); err != nil || moved == nil {
		t.Fatalf("%v %v", moved, err)
	}
	again := follow(t, []*replica{r}, "n1", 1, 1, 0)
	if again.led() != 41 {
		t.Errorf("term %d", again.led())
	}
	// 节点见过的任期比表里的大：表是旧的，不在表里的也可能拿着许可。
	if got := r.logs.FilterMessage("granting begins").FilterField(zap.Bool("doubtful_members", true)).Len(); got != 1 {
		t.Errorf("%d terms took the table for doubtful", got)
	}
	again.send(&admissionv1.AdmitRequest{Waiters: []*admissionv1.Descriptor{waiter(1, "team-a", "gpu-1")}})
	time.Sleep(500 * time.Millisecond)
	if again.granted() != 0 {
		t.Error("granted what an unknown node may hold")
	}
}

func TestHost_AnAbsurdTermEndsItsStreamAndNothingElse(t *testing.T) {
	r := startReplica(t, pgtest.New(t, migrate), tuning{})
	lead(t, r)
	first := dial(t, r.addr, "n1", 1, 1)
	first.base.Term = 1 << 62
	go first.listen()
	first.send(&admissionv1.AdmitRequest{Hello: &admissionv1.Hello{}})
	if _, err := first.ended(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a hello: %v", err)
	}
	later := join(t, r.addr, "n2", 1, 1, 0)
	eventually(t, "welcome", later.welcomed)
	later.mu.Lock()
	later.base.Term = 1 << 40
	later.mu.Unlock()
	if _, err := later.ended(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a frame: %v", err)
	}
	if n := follow(t, []*replica{r}, "n3", 1, 1, 0); n.led() != 1 {
		t.Errorf("term %d", n.led())
	}
}

func TestHost_AsksForTheRevisionANodeIsAheadWith(t *testing.T) {
	r := startReplica(t, pgtest.New(t, migrate), tuning{})
	lead(t, r)
	r.refresher.mu.Lock()
	r.refresher.next = config(t, 7, 9)
	r.refresher.mu.Unlock()
	n := dial(t, r.addr, "n1", 1, 1)
	n.base.Revision = 7
	go n.listen()
	n.send(&admissionv1.AdmitRequest{Hello: &admissionv1.Hello{}})
	go n.beat()
	eventually(t, "the new limits", func() bool {
		q, err := r.host.Queues(t.Context())
		return err == nil && len(q.Rows) == 2 && q.Rows[0].Limits.MaxConcurrency == 9
	})
	r.refresher.mu.Lock()
	defer r.refresher.mu.Unlock()
	if len(r.refresher.asked) != 1 || r.refresher.asked[0] != 7 {
		t.Errorf("asked %v", r.refresher.asked)
	}
}

func TestHost_ForgetsADepartedNodeOnceItsLeaseIsOver(t *testing.T) {
	url := pgtest.New(t, migrate)
	r := startReplica(t, url, tuning{})
	lead(t, r)
	n := join(t, r.addr, "n1", 1, 1, 3)
	eventually(t, "welcome", n.welcomed)
	execute(t, url, "UPDATE admission_members SET forgotten = true")
	time.Sleep(1500 * time.Millisecond) // 连着的不忘
	if got := r.metric("vega_admission_held", "server", "gpu-1"); got != 3 || r.said("node forgotten") != 0 {
		t.Fatalf("a connected node was forgotten: held %v", got)
	}
	n.close()
	eventually(t, "the stream is gone", func() bool { return r.said("node lost") == 1 })
	execute(t, url, "UPDATE admission_members SET forgotten = true")
	began := time.Now()
	time.Sleep(2500 * time.Millisecond) // 它的租期还在：那个记号留着
	if r.said("node forgotten") != 0 {
		t.Fatal("forgotten inside its lease")
	}
	tables := openTables(t, url)
	eventually(t, "the row is gone", func() bool {
		members, err := tables.LoadMembers(t.Context())
		return err == nil && len(members) == 0
	})
	took := time.Since(began)
	t.Logf("forgotten after %v", took.Round(time.Millisecond))
	if q, err := r.host.Queues(t.Context()); err != nil || q.Rows[0].Quarantined != 0 || q.Rows[0].Held != 0 {
		t.Errorf("the permits are not back: %+v %v", q, err)
	}
}

func TestHost_ServesAFleet(t *testing.T) {
	url := pgtest.New(t, migrate)
	a := startReplica(t, url, tuning{})
	lead(t, a)
	connect := func(stream uint64, to ...*replica) (all []*node, worst time.Duration) {
		all = make([]*node, nodes)
		took := make([]time.Duration, nodes)
		var wg sync.WaitGroup
		for i := range nodes {
			wg.Go(func() {
				began := time.Now()
				all[i] = follow(t, to, fmt.Sprintf("n%03d", i), 1, stream, 0)
				took[i] = time.Since(began)
			})
		}
		wg.Wait()
		return all, slices.Max(took)
	}
	all, worst := connect(0, a)
	t.Logf("%d nodes: all_welcomed=%v", nodes, worst.Round(time.Millisecond))
	if got := a.metric("vega_admission_nodes", "state", "connected"); got != nodes {
		t.Fatalf("%v nodes", got)
	}
	a.hub.Publish(config(t, 2, 2*nodes))
	var wg sync.WaitGroup
	waits := make([]time.Duration, nodes)
	for i, n := range all {
		wg.Go(func() {
			began := time.Now()
			n.send(&admissionv1.AdmitRequest{Waiters: []*admissionv1.Descriptor{waiter(1, "team-a", "gpu-1")}})
			eventually(t, "a grant", func() bool { return n.granted() == 1 })
			waits[i] = time.Since(began)
		})
	}
	wg.Wait()
	slices.Sort(waits)
	t.Logf("%d nodes asking at once: grant_p50=%v grant_max=%v", nodes, waits[nodes/2].Round(time.Millisecond), waits[nodes-1].Round(time.Millisecond))
	b := startReplica(t, url, tuning{})
	b.hub.Publish(config(t, 2, 2*nodes))
	began := time.Now()
	go a.stop()
	all, _ = connect(1, b)
	moved := time.Since(began)
	eventually(t, "learning is over", func() bool { return b.said("learning finished") == 1 })
	t.Logf("%d nodes: hand-over, all_welcomed=%v able_to_grant=%v", nodes, moved.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	if time.Since(began) > 10*time.Second || all[0].led() != 2 {
		t.Errorf("took %v, term %d", time.Since(began), all[0].led())
	}
}

func TestAdmit_EndsABadStreamWithInvalidArgument(t *testing.T) {
	r := startReplica(t, pgtest.New(t, migrate), tuning{service: admission.ServiceConfig{HelloTimeout: 300 * time.Millisecond}})
	lead(t, r)
	bad := func(name string, first, second *admissionv1.AdmitRequest, want codes.Code) {
		t.Helper()
		n := dial(t, r.addr, strings.ReplaceAll(name, " ", "-"), 1, 1)
		go n.listen()
		if first != nil {
			n.send(first)
		}
		if second != nil {
			n.send(second)
		}
		if _, err := n.ended(); status.Code(err) != want {
			t.Errorf("%s: ended with %v, want %v", name, err, want)
		}
		if marked := len(n.stream.Trailer().Get(schedule.UnbookedTrailer)) > 0; marked != (second == nil) {
			t.Errorf("%s: says that nothing is booked: %v", name, marked)
		}
	}
	hello := func() *admissionv1.AdmitRequest { return &admissionv1.AdmitRequest{Hello: &admissionv1.Hello{}} }
	bad("silence", nil, nil, codes.DeadlineExceeded)
	bad("no hello", &admissionv1.AdmitRequest{}, nil, codes.InvalidArgument)
	bad("a negative return", hello(), &admissionv1.AdmitRequest{Returns: []*admissionv1.Amount{{Pool: inFlight("gpu-1"), Units: -1}}}, codes.InvalidArgument)
	n := dial(t, r.addr, "Not A Node!", 1, 1)
	go n.listen()
	n.send(hello())
	if _, err := n.ended(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a bad node id: %v", err)
	}
	n = dial(t, r.addr, "n1", 1, 1)
	go n.listen()
	n.send(hello())
	n.base.NodeId = "n2"
	n.send(&admissionv1.AdmitRequest{})
	if _, err := n.ended(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a changed identity: %v", err)
	}
}

func TestAdmit_TheNewerStreamOfANodeReplacesTheOlder(t *testing.T) {
	r := startReplica(t, pgtest.New(t, migrate), tuning{})
	lead(t, r)
	first := join(t, r.addr, "n1", 1, 1, 0)
	eventually(t, "welcome", first.welcomed)
	second := join(t, r.addr, "n1", 1, 2, 0)
	eventually(t, "welcome", second.welcomed)
	if _, err := first.ended(); status.Code(err) != codes.AlreadyExists {
		t.Errorf("the older stream ended with %v", err)
	}
	if got := r.metric("vega_admission_nodes", "state", "connected"); got != 1 {
		t.Errorf("%v nodes", got)
	}
}

func TestAdmit_ANodeThatReadsNothingIsCutOffAndHoldsUpNobody(t *testing.T) {
	r := startReplica(t, pgtest.New(t, migrate), tuning{
		config: admission.Config{OutQueue: 16}, service: admission.ServiceConfig{SendTimeout: 5 * time.Second}})
	lead(t, r)
	deaf := dial(t, r.addr, "deaf", 1, 1) // 从不收
	deaf.send(&admissionv1.AdmitRequest{Hello: &admissionv1.Hello{}})
	good := join(t, r.addr, "good", 1, 1, 0)
	eventually(t, "welcome", good.welcomed)
	go func() {
		for id := uint64(1); ; id++ { // 每个请求都有一句回话：排在第几，或队满了
			if deaf.stream.Context().Err() != nil {
				return
			}
			var list []*admissionv1.Descriptor
			for i := range uint64(400) {
				list = append(list, waiter(id*400+i, "team-a", "gpu-1"))
			}
			deaf.mu.Lock()
			deaf.seq++
			f := &admissionv1.AdmitRequest{Seq: deaf.seq, Waiters: list}
			deaf.ack = deaf.seq
			deaf.raw(f)
			deaf.mu.Unlock()
			time.Sleep(5 * time.Millisecond)
		}
	}()
	eventually(t, "the deaf node is cut off", func() bool { return r.metric("vega_admission_slow_streams_closed_total") >= 1 })
	deaf.close()
	began := time.Now()
	good.send(&admissionv1.AdmitRequest{Waiters: []*admissionv1.Descriptor{waiter(1, "team-a", "gpu-2")}})
	eventually(t, "a grant", func() bool { return good.granted() == 1 })
	t.Logf("grant to the other node after %v", time.Since(began).Round(time.Millisecond))
}

func TestQueues_AnswerFromEitherReplica(t *testing.T) {
	url := pgtest.New(t, migrate)
	a := startReplica(t, url, tuning{})
	lead(t, a)
	b := startReplica(t, url, tuning{})
	n := join(t, a.addr, "n1", 1, 1, 0)
	eventually(t, "welcome", n.welcomed)
	var list []*admissionv1.Descriptor
	for id := range uint64(7) { // 先来的先得：剩下的里最早的是第五个，来了 30 秒
		d := waiter(id+1, "team-a", "gpu-1")
		d.AgeUs, d.WaitUs = int64(7-id)*10_000_000, 120_000_000
		list = append(list, d)
	}
	const oldest = 30 * time.Second
	old := func(d time.Duration) bool { return d >= oldest && d < oldest+9*time.Second }
	busy := []*admissionv1.Amount{{Pool: inFlight("gpu-1"), Units: 4}}
	n.send(&admissionv1.AdmitRequest{Waiters: list, Busy: &admissionv1.Busy{Amounts: busy},
		Pauses: []*admissionv1.Pause{{Server: "gpu-2", UpstreamModel: "m", ForUs: 30_000_000}}})
	eventually(t, "the grants", func() bool { return n.granted() == 4 })
	for name, r := range map[string]*replica{"leader": a, "follower": b} {
		var q admission.Queues
		eventually(t, name+" answers", func() (ok bool) {
			var err error
			q, err = r.host.Queues(t.Context())
			return err == nil
		})
		if q.Leader != (admission.Leader{Address: a.addr, Term: 1}) || len(q.Rows) != 2 {
			t.Fatalf("%s: %+v", name, q)
		}
		if i := slices.IndexFunc(q.Apps, func(x admission.App) bool { return x.App == "team-a" }); i < 0 || q.Apps[i].Waiting != 3 ||
			q.Apps[i].Limits.MaxConcurrency > 0 && q.Apps[i].InFlight != 4 {
			t.Errorf("%s: apps %+v", name, q.Apps)
		}
		one, two := q.Rows[0], q.Rows[1]
		if one.Server != "gpu-1" || one.Limits.MaxConcurrency != 4 || one.InFlight != 4 || one.Held != 4 || one.Free != 0 || one.Waiting != 3 ||
			!one.Tight || len(one.ByApp) != 1 || one.ByApp[0].Waiting != 3 || len(one.Paused) != 0 ||
			!old(one.OldestWait) || one.ByApp[0].OldestWait != one.OldestWait {
			t.Errorf("%s: %+v", name, one)
		}
		if two.Server != "gpu-2" || two.OldestWait >= 0 || two.Tight || two.Waiting != 0 || len(two.Paused) != 1 || two.Paused[0].UpstreamModel != "m" ||
			time.Until(two.Paused[0].Until) < 25*time.Second || time.Until(two.Paused[0].Until) > 31*time.Second {
			t.Errorf("%s: %+v", name, two)
		}
	}
}

func TestQueues_SayThatNobodyLeadsOrCanBeReached(t *testing.T) {
	url := pgtest.New(t, migrate)
	hidden := startReplica(t, url, tuning{hide: true})
	lead(t, hidden)
	other := startReplica(t, url, tuning{})
	for range 2 {
		if _, err := other.host.Queues(t.Context()); err == nil {
			t.Fatal("answered for a leader that cannot be reached")
		}
		time.Sleep(200 * time.Millisecond)
	}
}
