package schedule

import "math/big"

// naivePool 是照着文字写的池：速率的余量是任意精度的整数，以 1/61e9 个单位计。
type naivePool struct {
	cap   Cap
	used  int64
	level *big.Int
	at    Time
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
	if full := p.units(p.size()); p.cap.N > 0 {
		gain := new(big.Int).Mul(big64(int64(now-p.at)), big64(p.cap.N-p.size()+1))
		if p.level.Add(p.level, gain); p.level.Cmp(full) > 0 {
			p.level = full
		}
	}
	p.at = now
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
		p.level.Add(p.level, p.units(n))
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
	case next.Mode == Rate:
		p.level = p.units(p.size())
	default:
		p.level = new(big.Int)
	}
}

func (p *naivePool) setLevel(now Time, level int64) {
	p.refill(now)
	switch p.cap.Mode {
	case Rate:
		p.level = p.units(min(level, p.size()))
	case Stock:
		p.level = p.units(level)
	}
}
