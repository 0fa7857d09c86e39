package gateway

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"

	"github.com/vega-gateway/vega/dataplane/internal/state"
)

const (
	// firstGuess 是还没有见过一个 app 在一个模型上的回答时，预计的输出（token，每个候选答案）。
	firstGuess = 512
	// maxFlows 是至多记住多少个 app×模型；再多的一直用 firstGuess。
	maxFlows = 1 << 16
	// outputShards 把锁分开，好让在途的请求不挤在一把上。
	outputShards = 16
)

// outputs 记着每个 app 在每个模型上的回答有多长：第 90 百分位，只学完整的回答。用 newOutputs 造。
//
// 名字只来自配置，所以大小有界；retain 丢掉配置里不再有的。进程重启即从头学起。
type outputs struct {
	seed   maphash.Seed
	count  atomic.Int64
	shards [outputShards]outputShard
}

type outputShard struct {
	mu sync.RWMutex
	m  map[flowKey]*quantile
}

type flowKey struct{ app, model string }

func newOutputs() *outputs { return &outputs{seed: maphash.MakeSeed()} }

func (o *outputs) shard(k flowKey) *outputShard {
	return &o.shards[maphash.Comparable(o.seed, k)%outputShards]
}

// predict 给出一个候选答案预计的输出（token）。
func (o *outputs) predict(app, model string) int64 {
	k := flowKey{app, model}
	s := o.shard(k)
	s.mu.RLock()
	q := s.m[k]
	s.mu.RUnlock()
	if q == nil {
		return firstGuess
	}
	return q.value()
}

// observe 学一个完整回答的输出（token，每个候选答案）。
func (o *outputs) observe(app, model string, tokens int64) {
	k := flowKey{app, model}
	s := o.shard(k)
	s.mu.RLock()
	q := s.m[k]
	s.mu.RUnlock()
	if q == nil {
		if q = o.add(s, k); q == nil {
			return
		}
	}
	q.observe(tokens)
}

func (o *outputs) add(s *outputShard, k flowKey) *quantile {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.m[k]
	if q != nil || o.count.Load() >= maxFlows {
		return q
	}
	if s.m == nil {
		s.m = map[flowKey]*quantile{}
	}
	q = &quantile{}
	s.m[k] = q
	o.count.Add(1)
	return q
}

// retain 丢掉配置里不再有的 app 与模型。
func (o *outputs) retain(st *state.State) {
	for i := range o.shards {
		s := &o.shards[i]
		s.mu.Lock()
		for k := range s.m {
			_, app := st.App(k.app)
			_, model := st.Model(k.model)
			if !app || !model {
				delete(s.m, k)
				o.count.Add(-1)
			}
		}
		s.mu.Unlock()
	}
}

const (
	// level 是要估的分位。
	level = 0.9
	// slowestStep 是学习步子的下限（对数尺度）：再小就跟不上用法的变化。
	slowestStep = 1.0 / 32
	// maxOutput 是肯信的最长输出，防着上游报出离谱的数。
	maxOutput = 1 << 20
)

// quantile 以随机逼近估一个分位（Robbins 与 Monro，1951）：见到更大的就升，否则降，升降之比使超过它的恰有 1−level。
// 步子按比例走，所以几个 token 与几万个 token 的应用用同一个步长；头几次走得大，之后不小于 slowestStep，跟得上变化。
//
// 零值还没有学过。整个状态是一个字（高 32 位是估计的 float32，低 32 位是学过几次），更新不加锁。
type quantile struct{ state atomic.Uint64 }

func (q *quantile) value() int64 {
	estimate, n := unpack(q.state.Load())
	if n == 0 {
		return firstGuess
	}
	return int64(math.Ceil(float64(estimate)))
}

func (q *quantile) observe(tokens int64) {
	x := float32(min(max(tokens, 1), maxOutput))
	for {
		old := q.state.Load()
		if q.state.CompareAndSwap(old, learn(old, x)) {
			return
		}
	}
}

func learn(old uint64, x float32) uint64 {
	estimate, n := unpack(old)
	if n == 0 {
		return pack(x, 1)
	}
	step := max(2/float64(n+1), slowestStep)
	if x > estimate {
		estimate *= float32(math.Exp(step * level))
	} else {
		estimate *= float32(math.Exp(-step * (1 - level)))
	}
	return pack(min(max(estimate, 1), maxOutput), min(n, math.MaxUint32-1)+1)
}

func pack(estimate float32, n uint32) uint64 {
	return uint64(math.Float32bits(estimate))<<32 | uint64(n)
}

func unpack(s uint64) (estimate float32, n uint32) {
	return math.Float32frombits(uint32(s >> 32)), uint32(s)
}
