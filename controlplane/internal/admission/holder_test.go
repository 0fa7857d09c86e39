package admission_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/schedule"
)

// upstream 数自己同时有几个请求。
type upstream struct{ now, most, served atomic.Int64 }

func (u *upstream) serve(d time.Duration) {
	n := u.now.Add(1)
	for most := u.most.Load(); n > most && !u.most.CompareAndSwap(most, n); most = u.most.Load() {
	}
	time.Sleep(d)
	u.now.Add(-1)
	u.served.Add(1)
}

// holder 把真的 schedule.Holder 接到真的流上：只有钟、锁与收发。
type holder struct {
	t     *testing.T
	addrs []string
	began time.Time

	mu      sync.Mutex
	machine *schedule.Holder
	ids     uint64
	stream  grpc.BidiStreamingClient[admissionv1.AdmitRequest, admissionv1.AdmitResponse]
	cut     context.CancelFunc
	next    string
	wait    time.Duration
	welcome bool
}

func newHolder(t *testing.T, id string, spec *schedule.Spec, addrs ...string) *holder {
	h := &holder{t: t, addrs: addrs, began: time.Now()}
	h.machine = schedule.NewHolder(schedule.HolderConfig{Node: id, Epoch: 1, Version: "test", Now: h.now()})
	h.step(schedule.Configured{Spec: spec})
	return h
}

func (h *holder) now() schedule.Time { return schedule.Time(time.Since(h.began)) + 1 }

func (h *holder) step(e schedule.HolderEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.locked(e)
}

func (h *holder) locked(e schedule.HolderEvent) {
	for _, f := range slices.Clone(h.machine.Step(h.now(), e)) {
		switch f.Kind {
		case schedule.Admit:
			close(f.Waiter.Tag.(chan struct{}))
		case schedule.Refuse, schedule.Expire:
			h.t.Errorf("not admitted: %+v", f.Refusal)
		case schedule.Send:
			_ = h.stream.Send(f.Request)
		case schedule.Hangup:
			h.cut()
		case schedule.Redirect:
			h.next, h.wait = f.Leader, f.Wait
			h.cut()
		case schedule.Store:
			h.locked(schedule.Stored{Version: f.Share.GetVersion()})
		}
	}
}

// run 守着一条流，断了就照指路的去，或换一个；到 ctx 结束。
func (h *holder) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for ctx.Err() == nil {
			h.step(schedule.Ticked{})
			time.Sleep(time.Millisecond)
		}
	})
	for i := 0; ctx.Err() == nil; i++ {
		addr := h.next
		if addr == "" {
			time.Sleep(h.wait)
			addr = h.addrs[i%len(h.addrs)]
		}
		h.next, h.wait = "", 20*time.Millisecond
		h.session(ctx, addr)
	}
}

func (h *holder) session(ctx context.Context, addr string) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		h.t.Error(err)
		return
	}
	defer conn.Close()
	ctx, cut := context.WithCancel(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+joinToken))
	defer cut()
	s, err := admissionv1.NewAdmissionServiceClient(conn).Admit(ctx)
	if err != nil {
		return
	}
	h.mu.Lock()
	h.stream, h.cut = s, cut
	h.locked(schedule.Connected{})
	h.mu.Unlock()
	for {
		m, err := s.Recv()
		if err != nil {
			h.step(schedule.Broken{})
			return
		}
		h.mu.Lock()
		h.welcome = h.welcome || m.GetWelcome()
		h.locked(schedule.Received{Response: m})
		h.mu.Unlock()
	}
}

// request 走一个请求的全程，返回它等了多久；ctx 结束时还在等的不算。
func (h *holder) request(ctx context.Context, u *upstream, service time.Duration) {
	p := &schedule.Permit{}
	p.Request = schedule.Request{App: "team-a", Class: schedule.Standard, Weight: 1, Cost: schedule.Cost{Prompt: 10, Output: 10}}
	h.mu.Lock()
	if h.machine.Judge(h.now(), "gpu-1", "m", &p.Request) == ruleset.Startable {
		p.Server, p.Upstream = "gpu-1", "m"
		h.locked(schedule.Started{Permit: p})
		h.mu.Unlock()
	} else {
		h.ids++
		admitted := make(chan struct{})
		w := &schedule.Waiter{Request: p.Request, ID: h.ids, Arrived: h.now(), Deadline: h.now().Add(30 * time.Second), Permit: p, Tag: admitted,
			Candidates: []schedule.Candidate{{Server: "gpu-1", UpstreamModel: "m", Weight: 1}}}
		h.locked(schedule.Arrived{Waiter: w})
		h.mu.Unlock()
		select {
		case <-admitted:
		case <-ctx.Done():
			h.step(schedule.Left{Waiter: w})
			select {
			case <-admitted: // 同时到的
			default:
				return
			}
		}
	}
	u.serve(service)
	p.Used, p.Known = schedule.Cost{Prompt: 10, Output: 10}, true
	h.step(schedule.Finished{Permit: p})
}

func TestHost_WithRealNodesTheLimitHoldsOverAHandOver(t *testing.T) {
	const limit, members, workers, service = 4, 5, 4, 20 * time.Millisecond
	url := pgtest.New(t, migrate)
	a := startReplica(t, url, tuning{})
	lead(t, a)
	b := startReplica(t, url, tuning{})
	spec := &schedule.Spec{Revision: 1, Apps: []schedule.AppSpec{{Name: "team-a"}}, Servers: []schedule.ServerSpec{
		{Name: "gpu-1", BurstPercent: 10, MaxWaiting: 4096, Total: 10 * time.Minute, AbortGrace: 250 * time.Millisecond, Limits: schedule.Limits{MaxConcurrency: limit}},
		{Name: "gpu-2", Total: 10 * time.Minute}}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	load, unload := context.WithCancel(ctx)
	defer unload()
	var u upstream
	var nodes, clients sync.WaitGroup
	for i := range members {
		h := newHolder(t, fmt.Sprintf("real-%d", i), spec, b.addr, a.addr)
		nodes.Go(func() { h.run(ctx) })
		for range workers {
			clients.Go(func() {
				for load.Err() == nil {
					h.request(load, &u, service)
				}
			})
		}
	}
	eventually(t, "the queue moves", func() bool { return u.served.Load() > 50 })
	measure := func(name string) {
		from, began := u.served.Load(), time.Now()
		time.Sleep(1500 * time.Millisecond)
		rate := float64(u.served.Load()-from) / time.Since(began).Seconds()
		t.Logf("%s: utilisation=%.3f upstream_max_inflight=%d", name, rate*service.Seconds()/limit, u.most.Load())
	}
	measure("before")
	from, began := u.served.Load(), time.Now()
	go a.stop()
	eventually(t, "b leads", b.leading)
	eventually(t, "the queue moves again", func() bool { return u.served.Load() > from+100 })
	t.Logf("hand-over under load: 100 more served after %v", time.Since(began).Round(time.Millisecond))
	measure("after")
	unload()
	clients.Wait()
	cancel()
	nodes.Wait()
	if most := u.most.Load(); most != limit {
		t.Errorf("upstream_max_inflight=%d of a limit of %d", most, limit)
	}
}
