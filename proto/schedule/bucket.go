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
//
// 退回的（见 refund）当作从来没有授予过，所以它在外的时候补进来而本来装不下的不能留着：余量加还可能退回的，
// 减去 void，从不超过容量。没有这一条，一直有几个单位在外面来来回回，桶就大了那么几个。
type bucket struct {
	n, size, rate int64 // 每分钟 n；容量 size；每 61 s 补 rate
	level         int64 // 可以为负（欠账）
	part          uint64
	at            Time
	recent        [2]int64 // 这一秒与上一秒里授予的，还可能退回
	void          int64    // 其中退回也不还的，连同 vpart 份
	vpart         uint64
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
	next.recent, next.void, next.vpart = b.recent, b.void, b.vpart
	next.spill()
	return next
}

// advance 把余量补到 now；now 倒退则不动。
func (b *bucket) advance(now Time) {
	for b.out() > 0 {
		next := b.at - b.at%Time(time.Second) + Time(time.Second)
		if now < next {
			break
		}
		b.refill(next)
		b.spill()
		b.recent = [2]int64{0, b.recent[0]}
		b.bound()
	}
	b.refill(now)
	b.spill()
}

func (b *bucket) refill(now Time) {
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

// grant 授予 n 个请求数单位：1 s 之内可能退回。
func (b *bucket) grant(n int64) {
	b.level -= n
	b.recent[0] += n
}

// refund 退回不到 1 s 之前授予的 n 个；更早的、别处授予的照单全收。
func (b *bucket) refund(n int64) {
	known := min(n, b.out())
	last := min(known, b.recent[1])
	b.recent[1] -= last
	b.recent[0] -= known - last
	if broken(bugRefundEnlarges) {
		b.void, b.vpart = 0, 0
	}
	if b.void >= known {
		b.void -= known
		b.move(n - known)
		return
	}
	b.level += known - b.void
	if b.part < b.vpart {
		b.level--
		b.part += span
	}
	b.part -= b.vpart
	b.void, b.vpart = 0, 0
	b.move(n - known)
}

func (b *bucket) out() int64 { return b.recent[0] + b.recent[1] }

// spill 把装不下的记在还可能退回的账上。
func (b *bucket) spill() {
	if b.out() == 0 {
		return
	}
	over, part := b.level+b.out()-b.void-b.size, b.part
	if part < b.vpart {
		over--
		part += span
	}
	if part -= b.vpart; over < 0 {
		return
	}
	b.void += over
	if b.vpart += part; b.vpart >= span {
		b.void++
		b.vpart -= span
	}
	b.bound()
}

// bound 使 void 不超过还可能退回的。
func (b *bucket) bound() {
	if b.void >= b.out() {
		b.void, b.vpart = b.out(), 0
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
