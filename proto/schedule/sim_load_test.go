package schedule

import (
	"math"
	"time"
)

// simLoad 是开环的到达：快慢分段变化，节点、app、模型各有偏斜。
type simLoad struct {
	w         *simWorld
	rate      float64 // 每秒几个，第一段
	phases    []float64
	nodes     []float64
	apps      []float64
	weights   []int64
	classes   []Class
	mean      float64 // 平均服务秒数
	quits     float64 // 中途挂断的比例
	throttled float64 // 上游回 429 的比例
}

func newSimLoad(w *simWorld) simLoad {
	l := simLoad{w: w, mean: 0.6 + w.rng.Float64()*0.6, quits: 0.05}
	var slots int64
	for _, s := range w.config().spec.Servers {
		slots += min(orUnlimited(s.Limits.MaxConcurrency), 12)
	}
	l.rate = float64(slots) / l.mean
	for range 6 {
		l.phases = append(l.phases, 0.3+w.rng.Float64()*1.2)
	}
	skew := w.rng.Float64() * 2
	for i := range simNodes {
		l.nodes = append(l.nodes, math.Pow(float64(i+1), -skew))
	}
	w.rng.Shuffle(simNodes, func(i, j int) { l.nodes[i], l.nodes[j] = l.nodes[j], l.nodes[i] })
	for range w.plan.apps {
		l.apps = append(l.apps, 0.2+w.rng.Float64())
		l.weights = append(l.weights, w.between(1, 4))
		l.classes = append(l.classes, Class(w.between(1, 3)))
	}
	if w.chance(0.4) {
		l.throttled = w.rng.Float64() * 0.01
	}
	return l
}

func (l *simLoad) start() {
	l.w.after(500*simMs, l.next)
}

func (l *simLoad) next() {
	w := l.w
	if w.ended {
		return
	}
	l.deliver(l.draw())
	phase := l.phases[int(w.now*int64(len(l.phases))/(w.plan.length+1))]
	w.after(int64(w.rng.ExpFloat64()/(l.rate*phase)*1e9), l.next)
}

// deliver 把一个请求交给负载均衡挑的节点；死了的、在走的换下一个。
func (l *simLoad) deliver(q *simReq) {
	first := l.choose(l.nodes)
	for k := range simNodes {
		n := l.w.nodes[(first+k)%simNodes]
		if n.alive && !n.leaving {
			n.do(n.inc, func() { n.arrive(q) })
			return
		}
	}
}

func (l *simLoad) choose(weights []float64) int {
	var sum float64
	for _, x := range weights {
		sum += x
	}
	at := l.w.rng.Float64() * sum
	for i, x := range weights {
		if at -= x; at < 0 {
			return i
		}
	}
	return 0
}

func (l *simLoad) draw() *simReq {
	w := l.w
	q := &simReq{app: l.choose(l.apps), model: w.pick(4), patience: time.Duration(w.between(5*simSec, 30*simSec)), service: l.service()}
	q.Request = Request{
		App: simApp(q.app), Class: l.classes[q.app], Weight: l.weights[q.app],
		Cost: Cost{Prompt: w.span(10, 2000), Output: w.span(10, 1000)},
	}
	q.actual = Cost{Prompt: q.Cost.Prompt, Output: max(1, int64(float64(q.Cost.Output)*(0.3+1.2*w.rng.Float64())))}
	if w.chance(l.quits) {
		q.leaves = w.between(50*simMs, 10*simSec)
	}
	return q
}

// service 是上游要做多久：指数的，十分之一是重尾的，偶尔有做不完的。
func (l *simLoad) service() int64 {
	w := l.w
	switch x := w.rng.Float64(); {
	case x < 0.002:
		return 60 * simSec
	case x < 0.1:
		return min(int64(0.5*math.Pow(1-w.rng.Float64(), -1/1.3)*1e9), 20*simSec)
	}
	return max(50*simMs, int64(w.rng.ExpFloat64()*l.mean*1e9))
}
