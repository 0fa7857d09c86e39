package schedule

import "math/big"

// naivePool 是照着文字写的池：速率的余量是任意精度的整数，以 1/61e9 个单位计。
type naivePool struct {
	cap   Cap
	used  int64
	level *big.Int
	at    Time
	// recent 是这一秒与上一秒里授予的请求数单位，void 是其中退回也不还的。
	recent [2]int64
	void   *big.Int
}

var naiveSpan = big.NewInt(61_000_000_000)

func big64(n int64) *big.Int { return big.NewInt(n) }

func (p *naivePool) size() int64 {
	if p.cap.N <= 0 {
		return 0
	}
	b := new(big.Int).Mul(big64(p.cap.N), big64(p.cap.BurstPercent))
	return max(1, b.Div(b, big64(100)).Int64())
}

func (p *naivePool) units(n int64) *big.Int { return new(big.Int).Mul(big64(n), naiveSpan) }

func (p *naivePool) refill(now Time) {
	if p.cap.Mode != Rate {
		return
	}
	for p.at < now { // 一秒一秒地走
		next := min(now, (p.at/second+1)*second)
		if p.out() == 0 {
			next = now
		}
		if full := p.units(p.size()); p.cap.N > 0 {
			gain := new(big.Int).Mul(big64(int64(next-p.at)), big64(p.cap.N-p.size()+1))
			if p.level.Add(p.level, gain); p.level.Cmp(full) > 0 {
				p.level = full
			}
			p.spill()
		}
		if p.at = next; next%second == 0 {
			p.recent = [2]int64{0, p.recent[0]}
		}
		p.void = smaller(p.void, p.units(p.out()))
	}
}

func (p *naivePool) out() int64 { return p.recent[0] + p.recent[1] }

// spill 使余量加在外的减 void 不超过容量。
func (p *naivePool) spill() {
	over := new(big.Int).Add(p.level, p.units(p.out()-p.size()))
	if over.Cmp(p.void) > 0 {
		p.void = smaller(over, p.units(p.out()))
	}
}

func smaller(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

func (p *naivePool) admits(now Time, need int64) bool {
	p.refill(now)
	switch p.cap.Mode {
	case Count:
		return p.cap.N-p.used >= need
	case Rate:
		return need == 0 || p.cap.N > 0 && p.level.Cmp(p.units(min(need, p.size()))) >= 0
	case Stock:
		return need == 0 || p.level.Cmp(p.units(need)) >= 0
	}
	return true
}

func (p *naivePool) move(now Time, kind Kind, n int64) {
	p.refill(now)
	switch p.cap.Mode {
	case Rate:
		credit := p.units(n)
		switch {
		case kind != Requests:
		case n < 0:
			p.recent[0] -= n
		default:
			credit = p.refund(n)
		}
		p.level.Add(p.level, credit)
		if full := p.units(p.size()); p.level.Cmp(full) > 0 {
			p.level = full
		}
	case Stock:
		p.level.Add(p.level, p.units(n))
	default:
		if kind == InFlight {
			p.used = max(0, p.used-n)
		}
	}
}

// refund 退回 n 个，先退早的；void 的那些不还。
func (p *naivePool) refund(n int64) *big.Int {
	known := min(n, p.out())
	last := min(known, p.recent[1])
	p.recent[1] -= last
	p.recent[0] -= known - last
	lost := smaller(p.void, p.units(known))
	p.void = new(big.Int).Sub(p.void, lost)
	return new(big.Int).Sub(p.units(n), lost)
}

func (p *naivePool) free(now Time) (int64, bool) {
	p.refill(now)
	switch p.cap.Mode {
	case Count:
		return p.cap.N - p.used, true
	case Rate, Stock:
		return new(big.Int).Div(p.level, naiveSpan).Int64(), true
	}
	return 0, false
}

func (p *naivePool) setCap(now Time, next Cap) {
	if next == p.cap {
		return
	}
	p.refill(now)
	was, size := p.cap.Mode, p.size()
	p.cap, p.at = next, now
	switch {
	case next.Mode == Rate && was == Rate:
		level := new(big.Int).Div(p.level, naiveSpan)
		if level.Sign() > 0 {
			level.Mul(level, big64(p.size()))
			level.Div(level, big64(size))
		}
		p.level = p.units(min(level.Int64(), p.size()))
		p.spill()
		return
	case next.Mode == Rate:
		p.level = p.units(p.size())
	default:
		p.level = new(big.Int)
	}
	p.recent, p.void = [2]int64{}, new(big.Int)
}

func (p *naivePool) setLevel(now Time, level int64) {
	p.refill(now)
	switch p.cap.Mode {
	case Rate:
		p.level = p.units(min(level, p.size()))
		p.spill()
	case Stock:
		p.level = p.units(level)
	}
}
