package schedule

import (
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// stock 是节点在一个在途池里的账。
//
// 每个在途的请求占 server 与 app 各一个；unbacked 是其中没有授予者的单位垫着的（池当时没有限额）。
// 垫着的（carried）加闲置的即持有的：held = carried + idle。账与配置无关：限额撤了又设，两边的账照样对得上。
type stock struct {
	pool    Pool
	limited bool          // 在途有限额
	metered bool          // 有任何一种限额
	total   time.Duration // 失联之后多久才没有旧的请求还在跑
	grace   time.Duration
	// longTotal 是 total 改小（或 server 撤掉）之前的；别的节点照它开始的调用至迟跑到 longUntil。
	longTotal time.Duration
	longUntil Time

	held     int64
	open     int64 // 在途，含善后的
	unbacked int64
	aborting int64

	keep    int64  // 可以持有而不归还的量，授予者定的
	limit   int64  // 配置里的限额，0 即不限
	stale   int64  // 在途里用着降低之前的单位的：用完就还，不再留用
	lowered uint64 // 限额最近一次降低或设上的那一版：此前授予的不再用
	share   int64
	grown   bool // 控制面不在够久了，可以用足份额
	demand  int64
	told    int64    // 上次说的 open
	peak    [2]int64 // 这一段与上一段时间里 open 的最大值
	cap     int64    // 此刻 core 里的容量
}

func (s *stock) carried() int64 { return s.open - s.unbacked }
func (s *stock) idle() int64    { return s.held - s.carried() }

func (h *Holder) serverStock(name string) *stock { return h.stock(Pool{Server: name, Kind: InFlight}) }
func (h *Holder) appStock(name string) *stock    { return h.stock(Pool{App: name, Kind: InFlight}) }

func (h *Holder) stock(p Pool) *stock {
	s := h.stocks[p]
	if s == nil {
		s = &stock{pool: p}
		h.stocks[p] = s
		h.order = append(h.order, s)
		h.limitStock(s)
	}
	return s
}

// limitStock 按配置定下一个池有没有限额。
func (h *Holder) limitStock(s *stock) {
	was := s.total
	defer func() { h.keepTotal(s, was) }()
	s.limit, s.metered, s.total, s.grace = 0, false, 0, 0
	if s.pool.Server != "" {
		if spec := h.servers[s.pool.Server]; spec != nil {
			s.limit, s.metered = spec.Limits.MaxConcurrency, spec.Limits != Limits{}
			s.total, s.grace = spec.Total, spec.AbortGrace
		}
	} else if spec := h.apps[s.pool.App]; spec != nil {
		s.limit, s.metered, s.total = spec.Limits.MaxConcurrency, spec.Limits != Limits{}, h.longest()
	}
	s.limited = s.limit > 0
	h.shareStock(s)
}

// keepTotal 记下改小之前的 total：别的节点也许过一个租期才换上这一版。
func (h *Holder) keepTotal(s *stock, was time.Duration) {
	if was <= s.total {
		return
	}
	if h.now < s.longUntil {
		was = max(was, s.longTotal)
	}
	s.longTotal, s.longUntil = was, h.now+outlast(was)
}

// shareStock 定下一个池的份额：限额比份额所属的小了，就按比例缩小。
func (h *Holder) shareStock(s *stock) {
	v := h.shares[s.pool]
	s.share = v.units
	if s.limited && v.of > s.limit {
		s.share = v.units * s.limit / v.of
	}
}

// shareUnits 是一份安全份额与它所属的限额。
type shareUnits struct{ units, of int64 }

func (h *Holder) longest() (d time.Duration) {
	for i := range h.spec.Servers {
		d = max(d, h.spec.Servers[i].Total)
	}
	return d
}

// resize 把此刻的容量告诉 core。
func (h *Holder) resize(now Time, s *stock) {
	if !s.limited {
		h.core.SetCap(now, s.pool, Cap{})
		s.cap = 0
		return
	}
	s.cap = h.capacity(s)
	h.core.SetCap(now, s.pool, Cap{Mode: Count, N: s.cap})
}

// capacity 是新的请求可以用到多少：租期内是持有的，之后见 Holder 的不变量。
func (h *Holder) capacity(s *stock) int64 {
	switch {
	case !h.safe:
		return s.held
	case s.grown:
		return s.share
	case broken(bugShareAtOnce):
		return s.share
	}
	return min(s.held, s.share)
}

// occupy 让一个请求占住一个单位；fromIdle 说它来自 core 里的闲置（core 已经记了）。
func (h *Holder) occupy(s *stock) {
	s.open++
	s.peak[0] = max(s.peak[0], s.open)
	if !s.limited {
		s.unbacked++
	}
}

// release 让一个请求让出它占的单位，再把多余的还给授予者。
func (h *Holder) release(now Time, s *stock) {
	s.open--
	if s.unbacked > 0 {
		s.unbacked--
		return
	}
	h.core.Give(now, s.pool, 1)
	if s.stale > 0 {
		s.stale--
		if h.connected {
			h.giveBack(now, s, 1)
		} else {
			s.held--
			h.resize(now, s)
		}
		return
	}
	h.surplus(now, s)
}

// surplus 还掉超过 keep 的闲置；流没有开着就留着，报到时一并说。
func (h *Holder) surplus(now Time, s *stock) {
	if !h.welcomed || h.safe {
		return
	}
	keep := s.keep
	if !s.limited {
		keep = 0
	}
	if n := min(s.idle(), s.held-keep); n > 0 {
		h.giveBack(now, s, n)
	}
}

// received 处置刚收下的 n 个闲置：以 revision 那一版给的若在限额降低之前，一个也不留用，理由同 shed；否则只还多余的。
func (h *Holder) received(now Time, s *stock, n int64, revision uint64) {
	if n = min(n, s.idle()); n > 0 && revision < s.lowered && !broken(bugLoweredKept) {
		h.giveBack(now, s, n)
		return
	}
	h.surplus(now, s)
}

// shed 限额降了或刚设上：闲置的可能已经在新的限额之外，不再用它们，要用再去要。
func (h *Holder) shed(now Time, s *stock) {
	s.lowered = h.spec.Revision
	s.stale = max(s.carried(), 0)
	if n := s.idle(); n > 0 {
		if h.connected {
			h.giveBack(now, s, n)
			return
		}
		s.held -= n // 报到时说的就是少了的
		h.resize(now, s)
	}
}

// giveBack 先减自己的，再说。
func (h *Holder) giveBack(now Time, s *stock, n int64) {
	if !broken(bugReturnBookedLate) {
		s.held -= n
	}
	h.resize(now, s)
	f := h.frame()
	f.Returns = append(f.Returns, &admissionv1.Amount{Pool: poolMessage(s.pool), Units: n})
	if broken(bugReturnTwice) {
		f.Returns = append(f.Returns, &admissionv1.Amount{Pool: poolMessage(s.pool), Units: n})
	}
}

// claim 把没有垫着的在途都算进持有，并告诉授予者。
func (h *Holder) claim(now Time, s *stock) {
	if !s.limited || s.unbacked == 0 {
		return
	}
	n := s.unbacked
	s.unbacked = 0
	h.core.Take(now, s.pool, n)
	s.held += n
	h.resize(now, s)
	if h.connected { // 没有流时，报到随持有的一起说
		f := h.frame()
		f.Claims = append(f.Claims, &admissionv1.Amount{Pool: poolMessage(s.pool), Units: n})
	}
}

func poolMessage(p Pool) *admissionv1.Pool {
	return &admissionv1.Pool{Server: p.Server, App: p.App, Kind: admissionv1.PoolKind(p.Kind)}
}

func poolOf(m *admissionv1.Pool) Pool {
	return Pool{Server: m.GetServer(), App: m.GetApp(), Kind: Kind(m.GetKind())}
}

// abort 是一个被切断的调用：名额再占到 at。
type abort struct {
	at          Time
	server, app *stock
}

// abortHeap 以 at 为序的小顶堆。
type abortHeap []abort

func (q *abortHeap) push(a abort) {
	*q = append(*q, a)
	s := *q
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[up].at <= s[i].at {
			break
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
}

func (q *abortHeap) pop() abort {
	s := *q
	top := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s[last] = abort{}
	s = s[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			break
		}
		if c+1 < last && s[c+1].at < s[c].at {
			c++
		}
		if s[i].at <= s[c].at {
			break
		}
		s[i], s[c] = s[c], s[i]
		i = c
	}
	*q = s
	return top
}
