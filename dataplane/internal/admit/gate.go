package admit

import (
	"context"
	"crypto/sha256"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Candidates 是一个请求可以去的目标们，由 gateway 提供。Choose 与 Waitable 在 Gate 的锁内被调用。
type Candidates interface {
	// Choose 在此刻能开始的里面挑一个；judge 说准入这边准不准。没有则 nil。
	Choose(judge func(*state.Target) ruleset.Verdict) *state.Target
	// Waitable 走过值得等的：没停用、没摘出、没试过。
	Waitable(judge func(*state.Target) ruleset.Verdict, yield func(*state.Target))
	// Renew 按最新的配置重新解析名字，changed 说换过没有；等之前、等过之后在锁外调用。错误即这个请求的回答。
	Renew() (changed bool, err error)
}

// Ask 是一个请求要的：候选里的任何一个。
type Ask struct {
	Candidates Candidates
	Deadline   time.Time // 等到何时为止；零值即不等
}

// Deps 的零值可用。
type Deps struct {
	Now func() time.Time
}

type targetKey struct {
	id       state.TargetID
	identity [sha256.Size]byte
}

func keyOf(t *state.Target) targetKey { return targetKey{t.ID, t.Server.Identity} }

// load 是一个 server 上的数；server 改名即新的一个。
type load struct{ inFlight, waiting int64 }

// Gate 是本节点的准入。
type Gate struct {
	now   func() time.Time
	judge func(*state.Target) ruleset.Verdict // g.verdict，先取好免得每次分配

	issued, released atomic.Int64

	mu      sync.Mutex
	servers map[string]*load
	waiting int64
	paused  map[targetKey]time.Time
	changed chan struct{} // 下一次 Reconfigure 时关闭
}

// New 造一个空的 Gate。
func New(deps Deps) *Gate {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	g := &Gate{now: deps.Now, servers: map[string]*load{}, paused: map[targetKey]time.Time{}, changed: make(chan struct{})}
	g.judge = g.verdict
	return g
}

// Permit 准许去一个目标；零值没有许可。不可复制。
type Permit struct {
	Target *state.Target

	gate *Gate
	load *load
}

// Acquire 等到候选之一可以开始，把许可写进 p（须是零值或已释放）。
//
// 错误：queue_full（到达时就知道期限内等不到）、queue_timeout（等到了期限）、no_server_available（没有值得等的）、
// canceled（ctx 结束），以及 Renew 的错误。
func (g *Gate) Acquire(ctx context.Context, ask Ask, p *Permit) error {
	*p = Permit{}
	waited := false
	for {
		until, changed, err := g.try(ask, p, waited)
		if err != nil || p.Target != nil {
			return err
		}
		// 拿到 changed 之后再看一次配置：在此之前换的这里看得见，在此之后换的会关上它。
		renewed, err := ask.Candidates.Renew()
		if err == nil && !renewed {
			waited = true
			if err = g.wait(ctx, ask, until, changed); err == nil {
				_, err = ask.Candidates.Renew()
			}
		}
		if err != nil {
			return err
		}
	}
}

// Reconfigure 在换上新配置之后调用：叫醒在等的请求去看新的目标，忘掉不再有、也没有人在用的 server。
func (g *Gate) Reconfigure(servers iter.Seq[*state.Server]) {
	known := map[string]bool{}
	for s := range servers {
		known[s.Name] = true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.servers, func(name string, l *load) bool { return !known[name] && *l == load{} })
	close(g.changed)
	g.changed = make(chan struct{})
}

// try 试一次；没有许可也没有错误时，until 是值得再试的时刻，changed 在配置换新时关闭。
func (g *Gate) try(ask Ask, p *Permit, waited bool) (until time.Time, changed <-chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := ask.Candidates.Choose(g.judge); t != nil {
		g.grant(p, t)
		return until, nil, nil
	}
	until, err = g.delay(ask, waited)
	return until, g.changed, err
}

// delay 是挑不出时的答案：值得再试的时刻，或者不必等的错误；须持锁。
func (g *Gate) delay(ask Ask, waited bool) (until time.Time, err error) {
	now := g.now()
	room := false
	found := false
	ask.Candidates.Waitable(g.judge, func(t *state.Target) {
		at := g.paused[keyOf(t)]
		if !found || at.Before(until) {
			until = at
		}
		found = true
		room = room || waited || g.load(t.Server.Name).waiting < int64(t.Server.MaxWaiting)
	})
	switch {
	case !found:
		return until, vegaerr.New(vegaerr.Unavailable, "no_server_available",
			"no server can take this request now: every target of the model is disabled or ejected; try again shortly").WithRetryAfter(time.Second)
	case ask.Deadline.IsZero() || !waited && (until.After(ask.Deadline) || !room):
		return until, vegaerr.New(vegaerr.Exhausted, "queue_full",
			"every server of the model is paused or its queue is full; retry later").WithRetryAfter(max(until.Sub(now), time.Second))
	case !now.Before(ask.Deadline):
		return until, vegaerr.New(vegaerr.Exhausted, "queue_timeout",
			"the request waited in the queue for as long as it may; retry later").WithRetryAfter(max(until.Sub(now), time.Second))
	}
	return until, nil
}

func (g *Gate) grant(p *Permit, t *state.Target) {
	l := g.load(t.Server.Name)
	l.inFlight++
	g.issued.Add(1)
	*p = Permit{Target: t, gate: g, load: l}
}

// wait 睡到 until、期限、配置换新或 ctx 结束；在等的期间算进每个候选的 server。
func (g *Gate) wait(ctx context.Context, ask Ask, until time.Time, changed <-chan struct{}) error {
	if until.After(ask.Deadline) {
		until = ask.Deadline
	}
	leave := g.enter(ask)
	defer leave()
	timer := time.NewTimer(until.Sub(g.now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-changed:
		return nil
	case <-ctx.Done():
		return vegaerr.Wrap(ctx.Err(), vegaerr.Canceled, "", "the client went away while waiting")
	}
}

// enter 站进每个候选 server 的队；一个 server 只站一次。
func (g *Gate) enter(ask Ask) (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var in []*load
	ask.Candidates.Waitable(g.judge, func(t *state.Target) {
		l := g.load(t.Server.Name)
		for _, seen := range in {
			if seen == l {
				return
			}
		}
		in = append(in, l)
		l.waiting++
	})
	g.waiting++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, l := range in {
			l.waiting--
		}
		g.waiting--
	}
}

// Release 归还许可；没有许可或已归还时什么也不做。
func (p *Permit) Release() {
	if p.gate == nil {
		return
	}
	g := p.gate
	g.mu.Lock()
	p.load.inFlight--
	g.mu.Unlock()
	g.released.Add(1)
	p.gate, p.load = nil, nil
}

func (g *Gate) load(server string) *load {
	l := g.servers[server]
	if l == nil {
		l = &load{}
		g.servers[server] = l
	}
	return l
}
