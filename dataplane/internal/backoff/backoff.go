// Package backoff 给出重连之间该等多久：指数增长，全幅抖动（full jitter），一群节点因此不会同时拥上刚回来的控制面。
//
// 上限从 Min 起每次翻倍至 Max，等待在 (0, 上限) 内均匀取，但不少于 Min 的十分之一，免得空转。
package backoff

import (
	"math/rand/v2"
	"time"
)

// Backoff 的零值可用：0.1 秒至 5 秒。不可并发使用。
type Backoff struct {
	Min time.Duration // 首个上限；0 即 100 ms
	Max time.Duration // 最大的上限；0 即 5 s
	// Random 给出 [0,1) 内的均匀数；nil 即 math/rand/v2。
	Random func() float64

	ceiling time.Duration
}

// Next 是这一次该等多久，并把上限翻倍。
func (b *Backoff) Next() time.Duration {
	lo, hi, random := b.Min, b.Max, b.Random
	if lo <= 0 {
		lo = 100 * time.Millisecond
	}
	if hi <= 0 {
		hi = 5 * time.Second
	}
	if random == nil {
		random = rand.Float64
	}
	b.ceiling = min(max(lo, b.ceiling), hi)
	wait := max(time.Duration(random()*float64(b.ceiling)), lo/10)
	b.ceiling = min(2*b.ceiling, hi)
	return wait
}

// Reset 使下一次从头等起；连上并好好过了一阵之后调用。
func (b *Backoff) Reset() { b.ceiling = 0 }
