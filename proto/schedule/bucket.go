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
// 那一段至多授予 B + (N−B+1)·(61 s 不到)/61 s < N+1 个。不补充的桶（N ≤ 0，或全借出去了）从不放行。零值不可用。
type bucket struct {
	n, burst, size, rate int64 // 每分钟 n，没有借出时的容量 burst；容量 size；每 61 s 补 rate
	lent                 Lent
	level                int64 // 可以为负（欠账）
	away                 int64 // 扣走了而还会退回来的：余量与它合起来不超过容量
	part                 uint64
	at                   Time
}

// Lent 是一个速率池借给别处的：别处的桶合起来每 61 s 补 Rate 个，能攒 Size 个。
type Lent struct{ Rate, Size int64 }

// newBucket 是一个满的桶。
func newBucket(now Time, n, burstPercent int64) bucket {
	b := bucket{n: n, at: now}
	if n <= 0 {
		return b
	}
	burst := min(max(burstPercent, 0), 100)
	b.burst = max(1, n/100*burst+n%100*burst/100)
	b.thin(Lent{})
	b.level = b.size
	return b
}

// thin 按借出的定下容量与补充率。
func (b *bucket) thin(l Lent) {
	b.lent = l
	if b.n <= 0 {
		return
	}
	b.size = max(1, b.burst-l.Size)
	b.rate = max(0, b.n-b.burst+1-l.Rate)
	if broken(bugNoBurst) {
		b.rate = max(0, b.n*61/60-l.Rate)
	}
}

// lend 换上借出的。这里与各处借的合起来，任何 [t, t+60 s) 里到达上游的仍不超过 n，只要借的一方从空桶起、
// 每桶补得不多于借的、还回来之后不再用，而且容量之和至多比桶的个数多 B−1。
//
// 证：记 R = N−B+1，各桶的补充率之和从不超过 R，换来换去也是。t 时借着而一直没有还的那些桶 Y，每个在不足 61 s 里
// 至多放行 ⌊bᵢ+rᵢ·(61 s 不到)/61 s⌋ ≤ bᵢ+rᵢ−1（rᵢ 为 0 的不放行）。其余的合起来看：t 时的余量，加补充（不足 R−Σ_Y rᵢ），减还回来时扣的。
// 容量之和（这里的加借出的）若为 B：B+R = N+1，故至多 N。若大于 B，这里的容量是 1：还回来时扣掉容量之和少了的那些，
// 扣到 B 为止；没有扣到 B 的，其余的合起来至多 R−Σ_Y rᵢ，加上 Y 的，至多 R+Σ_Y(bᵢ−1) ≤ N；扣到了 B 的同前。
func (b *bucket) lend(now Time, l Lent) {
	b.advance(now)
	whole := b.size + b.lent.Size
	b.thin(l)
	b.trim()
	b.level -= max(0, whole-b.size-l.Size)
}

// resized 是限额变过之后的桶：余量按容量的比例带过去，向下取整；欠账照旧。
func (b bucket) resized(now Time, n, burstPercent int64) bucket {
	b.advance(now)
	next := newBucket(now, n, burstPercent)
	next.thin(b.lent)
	next.away = b.away
	switch {
	case b.level <= 0:
		next.level = b.level
	default:
		hi, lo := bits.Mul64(uint64(b.level), uint64(next.size))
		scaled, _ := bits.Div64(hi, lo, uint64(b.size))
		next.level = int64(scaled)
	}
	next.trim()
	return next
}

// advance 把余量补到 now；now 倒退则不动。
func (b *bucket) advance(now Time) {
	if now <= b.at {
		return
	}
	elapsed := uint64(now - b.at)
	b.at = now
	top := b.top()
	if b.level >= top {
		b.part = 0
		return
	}
	hi, lo := bits.Mul64(elapsed, uint64(b.rate))
	lo, carry := bits.Add64(lo, b.part, 0)
	hi += carry
	if hi >= span {
		b.set(top)
		return
	}
	whole, part := bits.Div64(hi, lo, span)
	if whole >= uint64(top-b.level) {
		b.set(top)
		return
	}
	b.level, b.part = b.level+int64(whole), part
}

func (b *bucket) set(level int64) { b.level, b.part = level, 0 }

// move 加 n（可以为负），不超过容量。
func (b *bucket) move(n int64) {
	b.level += n
	b.trim()
}

// top 是余量此刻的上限。还会退回来的单位占着容量：否则它们在外的时候照样补满，退回来又多出它们，
// 从没有用过的与补的一起用，60 s 里就多了在外这段时间里补的那些。
func (b *bucket) top() int64 { return b.size - b.away }

func (b *bucket) trim() {
	if top := b.top(); b.level >= top {
		b.set(top)
	}
}

// leave 说已经扣走的 n 个还会退回来；n 为负即其中的一些不会再退，或者就要退了。
func (b *bucket) leave(now Time, n int64) {
	b.advance(now)
	b.away = max(0, b.away+n)
	b.trim()
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
