package route

import (
	"crypto/sha256"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

// Config 的零值可用。
type Config struct {
	Consecutive int           // 连续失败几次即摘出，0 即 5
	MinSamples  int           // 按比例摘出至少要有几次，0 即 20
	Window      time.Duration // 比例看多长的一段，0 即 30 s
	BaseEject   time.Duration // 第一次摘出多久，0 即 10 s
	MaxEject    time.Duration // 至多多久，0 即 60 s
}

func (c Config) withDefaults() Config {
	set := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	set(&c.Window, 30*time.Second)
	set(&c.BaseEject, 10*time.Second)
	set(&c.MaxEject, time.Minute)
	if c.Consecutive == 0 {
		c.Consecutive = 5
	}
	if c.MinSamples == 0 {
		c.MinSamples = 20
	}
	return c
}

// Deps 的零值可用：真的钟与真的骰子。
type Deps struct {
	Now    func() time.Time
	Random func() uint64
}

type key struct {
	id       state.TargetID
	identity [sha256.Size]byte
}

func keyOf(t *state.Target) key { return key{t.ID, t.Server.Identity} }

// Router 挑目标并记得谁病了。
type Router struct {
	cfg    Config
	now    func() time.Time
	random func() uint64

	tracked atomic.Int64 // len(sick)，为零时免去拿锁
	mu      sync.Mutex
	sick    map[key]*health
}

// New 造一个人人健康的 Router。
func New(cfg Config, deps Deps) *Router {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Random == nil {
		deps.Random = rand.Uint64
	}
	return &Router{cfg: cfg.withDefaults(), now: deps.Now, random: deps.Random, sick: map[key]*health{}}
}

// Pass 是挑中一个目标的凭据；零值什么也不说。
type Pass struct {
	key   key
	trial bool // 挑中时它正被摘出：成则复原
	probe bool // 占着半开的那一个名额
	done  bool
}

// Judge 说别的步骤此刻准不准一个目标（满、暂停、试过）；Startable 即准。
type Judge func(*state.Target) ruleset.Verdict

// Choose 在此刻能开始的目标里挑一个：层级先后，层内按权重。没有则 nil。
func (r *Router) Choose(targets []*state.Target, judge Judge) (*state.Target, Pass) {
	var room [16]ruleset.Verdict
	verdicts := append(room[:0], make([]ruleset.Verdict, len(targets))...)
	sick := r.tracked.Load() > 0
	var now time.Time
	if sick {
		now = r.now()
		r.mu.Lock()
		defer r.mu.Unlock()
	}
	r.judgeAll(targets, verdicts, judge, now, sick)
	i, ok := ruleset.Choose(len(targets),
		func(i int) int64 { return targets[i].Priority },
		func(i int) int64 { return targets[i].Weight },
		func(i int) ruleset.Verdict { return verdicts[i] }, r.random())
	if !ok {
		return nil, Pass{}
	}
	t := targets[i]
	if !sick {
		return t, Pass{key: keyOf(t)}
	}
	return t, r.issue(t, now)
}

// Take 为别处挑中的目标发一张 Pass：许可是等来的，挑选已经由准入的一方做了。
// 目标在等的当中被摘出也照发：它去试一次，成败照记。
func (r *Router) Take(t *state.Target) Pass {
	if r.tracked.Load() == 0 {
		return Pass{key: keyOf(t)}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.issue(t, r.now())
}

// Waitable 说目标里有没有值得等的：没停用、没摘出、judge 说它只是满着或暂停着。对每个这样的目标调用 yield。
func (r *Router) Waitable(targets []*state.Target, judge Judge, yield func(*state.Target)) {
	var room [16]ruleset.Verdict
	verdicts := append(room[:0], make([]ruleset.Verdict, len(targets))...)
	sick := r.tracked.Load() > 0
	var now time.Time
	if sick {
		now = r.now()
		r.mu.Lock()
		defer r.mu.Unlock()
	}
	r.judgeAll(targets, verdicts, judge, now, sick)
	for i, t := range targets {
		if t.Weight > 0 && verdicts[i].Waitable() {
			yield(t)
		}
	}
}

// judgeAll 给每个目标一个判断；没停用的全被摘出时，把最近被摘出的那个交还给 judge。
func (r *Router) judgeAll(targets []*state.Target, verdicts []ruleset.Verdict, judge Judge, now time.Time, sick bool) {
	for i, t := range targets {
		switch {
		case !t.Server.Enabled:
			verdicts[i] = ruleset.Disabled
		case sick && r.ejected(t, now):
			verdicts[i] = ruleset.Ejected
		default:
			verdicts[i] = judge(t)
		}
	}
	if !sick {
		return
	}
	i, ok := ruleset.Relax(len(targets),
		func(i int) ruleset.Verdict { return verdicts[i] },
		func(i int) int64 { return r.sick[keyOf(targets[i])].since.UnixNano() })
	if ok {
		verdicts[i] = judge(targets[i])
	}
}

// ejected 说目标此刻不可用：摘出未满，或半开而名额已被占。
func (r *Router) ejected(t *state.Target, now time.Time) bool {
	h := r.sick[keyOf(t)]
	return h != nil && h.ejected && (h.probing || now.Before(h.until))
}

func (r *Router) issue(t *state.Target, now time.Time) Pass {
	p := Pass{key: keyOf(t)}
	h := r.sick[p.key]
	if h == nil || !h.ejected {
		return p
	}
	p.trial = true
	if !h.probing && !now.Before(h.until) {
		p.probe, h.probing = true, true
	}
	return p
}

// Ejections 给出此刻被摘出的目标，供 /nodes；次序不定。
func (r *Router) Ejections() []*configv1.Ejection {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	var out []*configv1.Ejection
	for k, h := range r.sick {
		if h.ejected && (h.probing || now.Before(h.until)) {
			out = append(out, &configv1.Ejection{
				Server: k.id.Server, UpstreamModel: k.id.UpstreamModel, Reason: h.reason,
				UntilUnixMs: h.until.UnixMilli(), SinceUnixMs: h.since.UnixMilli(),
			})
		}
	}
	return out
}
