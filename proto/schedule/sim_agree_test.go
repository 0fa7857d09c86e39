package schedule

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

// agreeOp 是日志里的一件事；等多久之后、做什么、对谁都已定死，与两边怎么判无关。
type agreeOp struct {
	after    time.Duration
	kind     uint8 // 到达、做完、切断、挂断
	k        int   // 做完或挂断的是第几个
	request  Request
	patience time.Duration
	targets  []Candidate
}

const (
	agreeArrive uint8 = iota
	agreeFinish
	agreeAbort
	agreeLeave
)

// agreeLog 是一份随机的日志与它用的配置。
func agreeLog(seed uint64) (*Spec, []agreeOp) {
	rng := rand.New(rand.NewPCG(seed, 0xa9ee))
	spec := &Spec{Revision: 1}
	for i := range 1 + rng.IntN(3) {
		spec.Servers = append(spec.Servers, ServerSpec{Name: simServer(i), Limits: Limits{MaxConcurrency: 1 + rng.Int64N(6)},
			BurstPercent: 10, Total: 10 * time.Second, AbortGrace: 500 * time.Millisecond})
	}
	apps := 2 + rng.IntN(4)
	weights, classes := make([]int64, apps), make([]Class, apps)
	for i := range apps {
		a := AppSpec{Name: simApp(i)}
		if rng.IntN(3) == 0 {
			a.Limits.MaxConcurrency = 1 + rng.Int64N(4)
		}
		weights[i], classes[i] = 1+rng.Int64N(4), Class(1+rng.IntN(3))
		spec.Apps = append(spec.Apps, a)
	}
	ops := make([]agreeOp, 0, 160)
	for range 160 {
		op := agreeOp{after: time.Duration(1+rng.IntN(60_000)) * time.Microsecond, k: rng.IntN(1 << 20)}
		switch x := rng.IntN(20); {
		case x < 11:
			app := rng.IntN(apps)
			op.request = Request{App: simApp(app), Class: classes[app], Weight: weights[app], Cost: Cost{Prompt: 1 + rng.Int64N(500), Output: 1 + rng.Int64N(300)}}
			op.patience = time.Duration(1+rng.IntN(8_000_000)) * time.Microsecond
			for priority, s := range rng.Perm(len(spec.Servers))[:1+rng.IntN(len(spec.Servers))] {
				op.targets = append(op.targets, Candidate{Server: simServer(s), UpstreamModel: "m", Weight: 1, Priority: int64(priority)})
			}
		case x < 17:
			op.kind = agreeFinish
		case x < 18:
			op.kind = agreeAbort
		default:
			op.kind = agreeLeave
		}
		ops = append(ops, op)
	}
	return spec, ops
}

// agreeHost 是一个节点，或自己过（g 为 nil），或有一个近在咫尺、从不丢帧的授予者。
type agreeHost struct {
	now       Time
	h         *Holder
	g         *Grantor
	ids       uint64
	running   []*Permit
	waiting   []*Waiter
	decisions []string
}

func (a *agreeHost) decide(format string, args ...any) {
	a.decisions = append(a.decisions, fmt.Sprintf(format, args...))
}

func (a *agreeHost) step(e HolderEvent) {
	for _, x := range slices.Clone(a.h.Step(a.now, e)) {
		switch x.Kind {
		case Admit:
			a.decide("admit %d to %s", x.Waiter.ID, x.Waiter.Permit.Server)
			a.drop(x.Waiter)
			a.running = append(a.running, x.Waiter.Permit)
		case Refuse:
			a.decide("refuse %d %s", x.Waiter.ID, x.Refusal.Code)
			a.drop(x.Waiter)
		case Expire:
			a.decide("expire %d", x.Waiter.ID)
			a.drop(x.Waiter)
		case Send:
			x.Request.Demands = nil // 不留闲置的：每一次准许都由授予者定
			a.grant(Heard{1, x.Request})
		case Store:
			a.step(Stored{x.Share.GetVersion()})
		}
	}
}

func (a *agreeHost) drop(w *Waiter) {
	if i := slices.Index(a.waiting, w); i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
	}
}

func (a *agreeHost) grant(e GrantorEvent) {
	for _, x := range slices.Clone(a.g.Step(a.now, e)) {
		switch x.Kind {
		case Reply:
			a.step(Received{x.Response})
		case Save:
			a.grant(Saved{x.ID})
		}
	}
}

// until 让时间走到 t，途中到点的都依次做。
func (a *agreeHost) until(t Time) {
	for {
		next := a.h.Next()
		if a.g != nil {
			next = earliest(next, a.g.Next())
		}
		if next == 0 || next > t {
			break
		}
		a.now = max(a.now, next)
		if at := a.h.Next(); at != 0 && at <= a.now {
			a.step(Ticked{})
		}
		if a.g != nil {
			if at := a.g.Next(); at != 0 && at <= a.now {
				a.grant(Tick{})
			}
		}
	}
	a.now = max(a.now, t)
}

func (a *agreeHost) play(op agreeOp) {
	a.until(a.now.Add(op.after))
	switch op.kind {
	case agreeArrive:
		a.arrive(op)
	case agreeFinish, agreeAbort:
		if len(a.running) > 0 {
			i := op.k % len(a.running)
			p := a.running[i]
			a.running = slices.Delete(a.running, i, i+1)
			p.Used, p.Known, p.Aborted = Cost{p.Cost.Prompt, int64(op.k % 400)}, true, op.kind == agreeAbort
			a.step(Finished{p})
		}
	case agreeLeave:
		if len(a.waiting) > 0 {
			w := a.waiting[op.k%len(a.waiting)]
			a.drop(w)
			a.step(Left{w})
		}
	}
}

func (a *agreeHost) arrive(op agreeOp) {
	a.ids++
	list := op.targets
	r := op.request
	i, ok := ruleset.Choose(len(list), func(i int) int64 { return list[i].Priority }, func(i int) int64 { return list[i].Weight },
		func(i int) ruleset.Verdict { return a.h.Judge(a.now, list[i].Server, list[i].UpstreamModel, &r) }, 0)
	if ok {
		p := &Permit{Request: r, Server: list[i].Server, Upstream: list[i].UpstreamModel}
		a.decide("admit %d to %s", a.ids, p.Server)
		a.running = append(a.running, p)
		a.step(Started{p})
		return
	}
	w := &Waiter{Request: r, ID: a.ids, Arrived: a.now, Deadline: a.now.Add(op.patience), Candidates: list, Permit: &Permit{}}
	a.waiting = append(a.waiting, w)
	a.step(Arrived{w})
}

const agreeBoot, agreeStart = Time(1e9), Time(100e9)

// agreeLed 有授予者：限额来自配置。
func agreeLed(spec *Spec) *agreeHost {
	a := &agreeHost{now: agreeBoot}
	a.h = NewHolder(HolderConfig{Node: "n0", Epoch: 1, Now: a.now})
	a.g = NewGrantor(GrantorConfig{Term: 1, Now: a.now, First: true})
	a.grant(Reconfigured{spec})
	a.step(Configured{spec})
	a.step(Connected{})
	a.until(agreeStart)
	return a
}

// agreeAlone 没有授予者：盘上的份额等于限额，等到可以用足。
func agreeAlone(spec *Spec) *agreeHost {
	share := &admissionv1.Share{Version: 1}
	for _, s := range spec.Servers {
		share.Amounts = append(share.Amounts, &admissionv1.Amount{Pool: poolMessage(Pool{Server: s.Name, Kind: InFlight}), Units: s.Limits.MaxConcurrency})
	}
	for _, s := range spec.Apps {
		if s.Limits.MaxConcurrency > 0 {
			share.Amounts = append(share.Amounts, &admissionv1.Amount{Pool: poolMessage(Pool{App: s.Name, Kind: InFlight}), Units: s.Limits.MaxConcurrency})
		}
	}
	a := &agreeHost{now: agreeBoot}
	a.h = NewHolder(HolderConfig{Node: "n0", Epoch: 1, Now: a.now, Stored: share})
	a.step(Configured{spec})
	a.until(agreeStart)
	return a
}

// TestHostsAgree 把同一份日志交给两个宿主：控制面里跨全部节点的那一个，与节点里靠安全份额过活的那一个。
// 同一份核心，因此谁先、去哪里必须一模一样。
func TestHostsAgree(t *testing.T) {
	t.Parallel()
	logs := uint64(2000)
	if raceEnabled || os.Getenv("VEGA_SEEDED_BUG") != "" {
		logs = 200
	}
	decisions, differences := 0, 0
	for seed := range logs {
		spec, ops := agreeLog(seed)
		led, alone := agreeLed(spec), agreeAlone(spec)
		for i, op := range ops {
			led.play(op)
			alone.play(op)
			if !slices.Equal(led.decisions, alone.decisions) {
				differences++
				if differences <= 5 {
					k := 0
					for k < min(len(led.decisions), len(alone.decisions)) && led.decisions[k] == alone.decisions[k] {
						k++
					}
					t.Errorf("log %d op %d at %v decision %d: with a grantor %q, alone %q", seed, i, led.now, k, led.decisions[k:], alone.decisions[k:])
				}
				break
			}
		}
		decisions += len(led.decisions)
	}
	fmt.Printf("figures: hosts-agree logs=%d decisions=%d differences=%d\n", logs, decisions, differences)
}
