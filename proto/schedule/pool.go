package schedule

import "time"

// Mode 是一个池怎样限。
type Mode uint8

const (
	Unlimited Mode = iota // 不限
	Count                 // 同时至多 N 个单位
	Rate                  // 每分钟 N 个，容量 B，见 bucket
	Stock                 // 不补充也没有上限，只由 Take 与 Give 移动：节点手上的速率单位
)

// Cap 是一个池的限额；零值不限。BurstPercent 只用于 Rate，取 0–100。
type Cap struct {
	Mode         Mode
	N            int64
	BurstPercent int64
	Lent         Lent // 从 Rate 里借给别处的，见 bucket.lend
	Held         bool // Rate 暂且不放行，照样补充
}

// pool 的 used 是 Count 的在外单位，不限时也记着，这样限额设上的时候在途的都在账上。
type pool struct {
	cap    Cap
	used   int64
	bucket bucket // Rate；Stock 只用它的 level
}

func (p *pool) setCap(now Time, next Cap) (changed bool) {
	if next.Mode != Rate {
		next = Cap{Mode: next.Mode, N: next.N}
	}
	if next.Mode == Unlimited || next.Mode == Stock {
		next.N = 0
	}
	if next == p.cap {
		return false
	}
	switch next.Mode {
	case Rate:
		if p.cap.Mode != Rate {
			p.bucket = newBucket(now, next.N, next.BurstPercent)
		} else if next.N != p.cap.N || next.BurstPercent != p.cap.BurstPercent {
			p.bucket = p.bucket.resized(now, next.N, next.BurstPercent)
		}
		if next.Lent != p.bucket.lent {
			p.bucket.lend(now, next.Lent)
		}
	default:
		p.bucket = bucket{}
	}
	p.cap = next
	return true
}

// admits 说能不能放行 need 个；不需要的池从不挡。
func (p *pool) admits(now Time, need int64) bool {
	switch p.cap.Mode {
	case Count:
		return p.cap.N-p.used >= need
	case Rate:
		p.bucket.advance(now)
		return need <= 0 || !p.cap.Held && p.bucket.rate > 0 && p.bucket.level >= p.bucket.enough(need)
	case Stock:
		return need <= 0 || p.bucket.level >= need
	}
	return true
}

// ready 是时间本身能使它放行 need 的时刻；不能则为 0。
func (p *pool) ready(need int64) Time {
	if p.cap.Mode != Rate || p.bucket.rate <= 0 || p.cap.Held {
		return 0
	}
	return p.bucket.until(p.bucket.enough(need))
}

// take 移走 n 个，从不拒绝；n 为负即归还。
func (p *pool) take(now Time, kind Kind, n int64) {
	switch p.cap.Mode {
	case Rate:
		p.bucket.advance(now)
		if n < 0 && broken(bugRefundLost) {
			return
		}
		p.bucket.move(-n)
		if broken(bugDebtForgiven) {
			p.bucket.level = max(p.bucket.level, 0)
		}
	case Stock:
		p.bucket.level -= n
	default:
		if kind == InFlight {
			p.used = max(0, p.used+n)
		}
	}
}

func (p *pool) free(now Time) (int64, bool) {
	switch p.cap.Mode {
	case Unlimited:
		return 0, false
	case Count:
		return p.cap.N - p.used, true
	case Rate:
		if p.bucket.advance(now); p.bucket.rate <= 0 {
			return min(p.bucket.level, 0), true
		}
	}
	return p.bucket.level, true
}

func (p *pool) full(now Time) time.Duration {
	if p.cap.Mode != Rate {
		return 0
	}
	p.bucket.advance(now)
	return max(0, p.bucket.until(p.bucket.top()).Sub(p.bucket.at))
}

// pools 是一个 server 或 app 的三个池，以 Kind−1 为下标。
type pools [3]pool

// mask 的第 Kind−1 位说那个池。
type mask uint8

func bit(k Kind) mask { return 1 << (k - InFlight) }

// need 是一个请求从一边的三个池里要的单位。
type need [3]int64

func needs(r *Request) need { return need{1, 1, max(0, r.Cost.Tokens())} }

// blocks 是不放行 n 的那些池。
func (ps *pools) blocks(now Time, n *need) (m mask) {
	for i := range ps {
		if !ps[i].admits(now, n[i]) {
			m |= 1 << i
		}
	}
	return m
}

// wake 是 m 里最早有一个池因时间而放行的时刻；没有则为 0。
func (ps *pools) wake(m mask, n *need) (at Time) {
	for i := range ps {
		if m&(1<<i) == 0 {
			continue
		}
		if t := ps[i].ready(n[i]); t != 0 && (at == 0 || t < at) {
			at = t
		}
	}
	return at
}

// take 从有限的池里扣；不限的不记，因为归还的一方也只还有限的。
func (ps *pools) take(now Time, n *need) {
	for i := range ps {
		if ps[i].cap.Mode != Unlimited {
			ps[i].take(now, Kind(i)+InFlight, n[i])
		}
	}
}

// idle 说三个池都不限而且没有单位在外。
func (ps *pools) idle() bool {
	for i := range ps {
		if ps[i].cap.Mode != Unlimited || ps[i].used > 0 {
			return false
		}
	}
	return true
}
