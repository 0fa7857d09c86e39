package schedule

import (
	"math"
	"math/bits"
	"time"
)

// span 是一单位里的份数：补充率的分母是 61 s，一份即 1 单位/61 s 在 1 ns 里补的量，所以整数里没有舍入。
// 60 s 之外多出的 1 s 是一个请求数单位从授予到真正开始至多隔的时间。
const span = uint64(61 * time.Second)

// bucket 是令牌桶（GCRA 的等价形式）。任何 [t, t+60 s) 里到达上游的不超过 N：它们的授予落在不足 61 s 的一段里，
// 那一段至多授予 B + (N−B+1)·(61 s 不到)/61 s < N+1 个。N ≤ 0 的桶从不放行。零值不可用。
type bucket struct {
	n, size, rate int64 // 每分钟 n；容量 size；每 61 s 补 rate
	level         int64 // 可以为负（欠账）
	part          uint64
	at            Time
}

// newBucket 是一个满的桶。
func newBucket(now Time, n, burstPercent int64) bucket {
	b := bucket{n: n, at: now}
	if n <= 0 {
		return b
	}
	burst := min(max(burstPercent, 0), 100)
	b.size = max(1, n/100*burst+n%100*burst/100)
	b.rate = n - b.size + 1
	if broken(bugNoBurst) {
		b.rate = n * 61 / 60
	}
	b.level = b.size
	return b
}

// resized 是限额变过之后的桶：余量按容量的比例带过去，向下取整；欠账照旧。
func (b bucket) resized(now Time, n, burstPercent int64) bucket {
	b.advance(now)
	next := newBucket(now, n, burstPercent)
	switch {
	case b.level <= 0:
		next.level = min(b.level, next.size)
	case b.size > 0:
		hi, lo := bits.Mul64(uint64(b.level), uint64(next.size))
		scaled, _ := bits.Div64(hi, lo, uint64(b.size))
		next.level = min(int64(scaled), next.size)
	}
	return next
}

// advance 把余量补到 now；now 倒退则不动。
func (b *bucket) advance(now Time) {
	if now <= b.at {
		return
	}
	elapsed := uint64(now - b.at)
	b.at = now
	if b.level >= b.size {
		b.part = 0
		return
	}
	hi, lo := bits.Mul64(elapsed, uint64(b.rate))
	lo, carry := bits.Add64(lo, b.part, 0)
	hi += carry
	if hi >= span {
		b.set(b.size)
		return
	}
	whole, part := bits.Div64(hi, lo, span)
	if whole >= uint64(b.size-b.level) {
		b.set(b.size)
		return
	}
	b.level, b.part = b.level+int64(whole), part
}

func (b *bucket) set(level int64) { b.level, b.part = level, 0 }

// move 加 n（可以为负），不超过容量。
func (b *bucket) move(n int64) {
	b.level += n
	if b.level >= b.size {
		b.set(b.size)
	}
}

// enough 是放行 need 要有的余量：比桶还大的请求在桶满时放行，成为欠账。
func (b *bucket) enough(need int64) int64 { return min(need, b.size) }

// until 是余量到 level 的时刻；永远到不了为 0。
func (b *bucket) until(level int64) Time {
	if b.level >= level {
		return b.at
	}
	if b.rate <= 0 || level > b.size {
		return 0
	}
	hi, lo := bits.Mul64(uint64(level-b.level), span)
	lo, borrow := bits.Sub64(lo, b.part, 0)
	hi -= borrow
	if hi >= uint64(b.rate) {
		return 0
	}
	wait, rest := bits.Div64(hi, lo, uint64(b.rate))
	if rest > 0 {
		wait++
	}
	if wait > uint64(math.MaxInt64-int64(b.at)) {
		return 0
	}
	return b.at + Time(wait)
}
