package schedule

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

const (
	simNodes = 8
	simMs    = int64(time.Millisecond)
	simSec   = int64(time.Second)
)

// simWorld 是一次模拟：真实时间、两个控制面副本、PostgreSQL、八个节点、网络与上游，全由一个种子决定。
type simWorld struct {
	simAgenda
	seed  uint64
	rng   *rand.Rand
	nodes []*simNode
	reps  []*simReplica
	db    simDB
	net   simNet
	truth simTruth
	meter simMeter
	load  simLoad
	plan  simPlan
	hits  simHits
	// configs 是发布过的各版配置；最后一个是当前的。
	configs []*simConfig
	conns   uint64
	ended   bool // 到时候了：不再有新请求，一切故障痊愈
	tracing bool
	trace   []string
	failure string
}

// simPlan 是由种子定下的这一次的样子。
type simPlan struct {
	length  int64 // 负载持续多久
	faults  int
	servers int
	apps    int
	calm    bool // 无故障无丢包：看基准
	dark    simDark
	moves   bool // 被杀的节点都在别的机器上从空的盘起来，原来的调用照旧跑着
	items   int  // 一帧里至多几件：小得使报到要说许多帧，或如出厂
}

// simConfig 是一版配置，按下标查限额。
type simConfig struct {
	spec   *Spec
	models [][]Candidate
}

func (c *simConfig) server(i int) *ServerSpec { return &c.spec.Servers[i] }
func (c *simConfig) app(i int) *AppSpec       { return &c.spec.Apps[i] }

func simServer(i int) string   { return fmt.Sprintf("s%d", i) }
func simApp(i int) string      { return fmt.Sprintf("a%d", i) }
func simNode_(i int) string    { return fmt.Sprintf("n%d", i) }
func simIndex(s string) int    { return int(s[1] - '0') }
func simReplica_(i int) string { return fmt.Sprintf("cp%d", i) }

func newSimWorld(seed uint64) *simWorld {
	w := &simWorld{seed: seed, rng: rand.New(rand.NewPCG(seed, 0x5eed))}
	w.plan = simPlan{length: 60 * simSec, servers: 3 + w.pick(2), apps: 4 + w.pick(3), calm: seed%10 == 0,
		moves: seed%5 == 3, items: []int{frameItems, 1, 3, frameItems}[seed%4]}
	if seed%8 == 7 {
		w.plan.length = 100 * simSec
	}
	if seed%16 == 5 {
		w.plan.dark, w.plan.calm, w.plan.length = simDark(1+seed/16%3), true, 120*simSec
	}
	if !w.plan.calm {
		w.plan.faults = 1 + w.pick(8)
	}
	w.net = newSimNet(w)
	w.configs = []*simConfig{w.firstConfig()}
	w.truth.init(w)
	w.meter.init(w)
	for i := range 2 {
		w.reps = append(w.reps, newSimReplica(w, i))
	}
	for i := range simNodes {
		w.nodes = append(w.nodes, newSimNode(w, i))
	}
	w.load = newSimLoad(w)
	return w
}

// run 走完一次模拟；发现的第一处违反写进 failure。
func (w *simWorld) run() {
	for _, r := range w.reps {
		r.boot()
	}
	for _, n := range w.nodes {
		w.after(w.between(0, 300*simMs), n.boot)
	}
	w.load.start()
	w.planFaults()
	w.planDark()
	w.after(simSec, w.meter.sample)
	w.at(w.plan.length, w.heal)
	w.until(w.plan.length)
	// 队里等的至多 30 s，调用至多 Total，失联的还要隔离一个 Total；之后一切归零。
	w.until(w.plan.length + 32*simSec + 2*w.longest() + 12*simSec)
	w.forgetMoved()
	w.checkEmpty()
	w.probe()
}

func (w *simWorld) until(t int64) {
	for w.failure == "" && w.next(t) {
	}
}

// longest 是最久的 Total。
func (w *simWorld) longest() int64 {
	var d time.Duration
	for _, s := range w.config().spec.Servers {
		d = max(d, s.Total)
	}
	return int64(d)
}

func (w *simWorld) config() *simConfig { return w.configs[len(w.configs)-1] }

func (w *simWorld) after(d int64, do func()) { w.at(w.now+d, do) }

func (w *simWorld) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf("t=%.6fs ", float64(w.now)/1e9) + fmt.Sprintf(format, args...)
		w.tracef("FAIL %s", w.failure)
	}
}

func (w *simWorld) tracef(format string, args ...any) {
	if w.tracing {
		w.trace = append(w.trace, fmt.Sprintf("%11.6f ", float64(w.now)/1e9)+fmt.Sprintf(format, args...))
	}
}

func (w *simWorld) pick(n int) int { return w.rng.IntN(n) }

func (w *simWorld) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

func (w *simWorld) between(a, b int64) int64 { return a + w.rng.Int64N(b-a+1) }

// span 是 a 到 b 之间对数均匀的一个时长。
func (w *simWorld) span(a, b int64) int64 {
	return int64(float64(a) * math.Pow(float64(b)/float64(a), w.rng.Float64()))
}

func (w *simWorld) clock() simClock {
	return simClock{off: w.between(simSec, 1000*simSec), rate: 1 + (w.rng.Float64()*2-1)*0.01}
}

// firstConfig 造出第一版配置。至少一个 server 只有在途的限额，利用率就看它们。
func (w *simWorld) firstConfig() *simConfig {
	c := &simConfig{spec: &Spec{Revision: 1}}
	for i := range w.plan.servers {
		s := ServerSpec{
			Name: simServer(i), BurstPercent: 10,
			Total: time.Duration(w.between(8*simSec, 20*simSec)), AbortGrace: time.Duration(w.between(300*simMs, 2*simSec)),
			Limits: w.serverLimits(i),
		}
		if w.chance(0.3) {
			s.MaxWaiting = w.between(20, 400)
		}
		c.spec.Servers = append(c.spec.Servers, s)
	}
	for i := range w.plan.apps {
		c.spec.Apps = append(c.spec.Apps, AppSpec{Name: simApp(i), Limits: w.appLimits(i)})
	}
	for range 4 {
		c.models = append(c.models, w.candidates())
	}
	for i := range w.plan.servers { // 末尾是每个 server 一个的单目标模型
		c.models = append(c.models, []Candidate{{Server: simServer(i), UpstreamModel: "m", Weight: 1}})
	}
	return c
}

func (w *simWorld) serverLimits(i int) Limits {
	l := Limits{MaxConcurrency: w.span(2, 32)}
	switch w.pick(8) {
	case 0:
		l.MaxConcurrency = 1
	case 1:
		l.MaxConcurrency = 0
	}
	if i == 0 {
		l.MaxConcurrency = w.span(4, 32)
		return l
	}
	if w.chance(0.2) {
		l.RequestsPerMinute = w.span(5, 1500)
	}
	if w.chance(0.15) {
		l.TokensPerMinute = w.span(20_000, 1_000_000)
	}
	return l
}

// appLimits 中 app 0 从来没有限额：末了用它探查有没有泄漏。
func (w *simWorld) appLimits(i int) (l Limits) {
	if i == 0 {
		return l
	}
	if w.chance(0.3) {
		l.MaxConcurrency = w.span(2, 20)
	}
	if w.chance(0.1) {
		l.RequestsPerMinute = w.span(5, 600)
	}
	if w.chance(0.1) {
		l.TokensPerMinute = w.span(20_000, 500_000)
	}
	return l
}

func (w *simWorld) candidates() []Candidate {
	n := 1 + w.pick(min(3, w.plan.servers))
	order := w.rng.Perm(w.plan.servers)
	var list []Candidate
	for k := range n {
		list = append(list, Candidate{Server: simServer(order[k]), UpstreamModel: "m", Weight: w.between(1, 3), Priority: int64(w.pick(2))})
	}
	return list
}
