package schedule

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

// pair 让 Core 与 naive 走同一份随机的日志。
type pair struct {
	t       *testing.T
	seed    uint64
	step    int
	rng     *rand.Rand
	now     Time
	core    *Core
	naive   *naive
	twins   map[*Waiter]*Waiter // Core 的 → naive 的
	queue   []*Waiter
	running []Units
	id      uint64
}

func newPair(t *testing.T, seed uint64) *pair {
	return &pair{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), now: Time(time.Hour),
		core: NewCore(), naive: newNaive(), twins: map[*Waiter]*Waiter{},
	}
}

func (p *pair) fail(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("seed %d step %d: %s", p.seed, p.step, fmt.Sprintf(format, args...))
}

func one[T any](p *pair, list ...T) T { return list[p.rng.IntN(len(list))] }

func (p *pair) server() string { return one(p, "s1", "s1", "s2", "s3") }
func (p *pair) app() string    { return one(p, "a", "b", "c") }

func (p *pair) pool() Pool {
	at := Pool{Kind: one(p, InFlight, InFlight, Requests, Tokens)}
	if p.rng.IntN(3) == 0 {
		at.App = p.app()
	} else {
		at.Server = p.server()
	}
	return at
}

func (p *pair) cap(k Kind) Cap {
	if p.rng.IntN(5) == 0 {
		return Cap{}
	}
	if k == InFlight {
		return Cap{Mode: Count, N: p.rng.Int64N(4)}
	}
	n := one[int64](p, 0, 1, 5, 60, 6000)
	if k == Tokens {
		n *= 30
	}
	if p.rng.IntN(4) == 0 {
		return Cap{Mode: Stock}
	}
	return Cap{Mode: Rate, N: n, BurstPercent: one[int64](p, 0, 10, 50, 100)}
}

func (p *pair) request() Request {
	return Request{
		App: p.app(), Class: one(p, Interactive, Standard, Batch, Class(9)), Weight: one[int64](p, 0, 1, 2, 5),
		Cost: Cost{Prompt: one[int64](p, 0, 1, 20, 400), Output: one[int64](p, 0, 3, 100, 900)},
	}
}

func (p *pair) candidates() (list []Candidate) {
	for range p.rng.IntN(4) + 1 {
		list = append(list, Candidate{Server: p.server(), UpstreamModel: one(p, "m", "m", "n"), Weight: p.rng.Int64N(4), Priority: p.rng.Int64N(3)})
	}
	return list
}

func (p *pair) arrive() {
	p.id++
	w := &Waiter{
		Request: p.request(), Node: one(p, "", "n1", "n2"), ID: p.id,
		Arrived: p.now.Add(-time.Duration(p.rng.IntN(3)) * time.Millisecond), Candidates: p.candidates(),
	}
	if p.rng.IntN(2) == 0 {
		w.Deadline = p.now.Add(one(p, 0, time.Millisecond, time.Second, 30*time.Second))
	}
	twin := *w
	twin.Candidates = slices.Clone(w.Candidates)
	_, refused := p.core.Arrive(p.now, w, false)
	if accepted := p.naive.arrive(p.now, &twin); accepted == refused {
		p.fail("arrive: core refused=%v naive accepted=%v", refused, accepted)
	}
	if !refused {
		p.twins[w] = &twin
		p.queue = append(p.queue, w)
	}
}

// gone 把 w 从在等的表里划去。
func (p *pair) gone(w *Waiter) {
	p.queue = slices.DeleteFunc(p.queue, func(o *Waiter) bool { return o == w })
	delete(p.twins, w)
}

// dispatch 派发到没有为止，并比较每一个。
func (p *pair) dispatch() (n int) {
	for {
		w, i, ok := p.core.Dispatch(p.now)
		tw, ti, tok := p.naive.dispatch(p.now)
		if ok != tok || ok && (p.twins[w] != tw || i != ti) {
			p.fail("dispatch: core %v %d %v, naive %v %d %v", w, i, ok, tw, ti, tok)
		}
		if !ok {
			return n
		}
		n++
		p.book(w.Candidates[i].Server, &w.Request)
		p.gone(w)
	}
}

// book 记下在外的单位，之后随机归还。
func (p *pair) book(server string, r *Request) {
	for _, u := range needed(server, r.App, r) {
		if u.Pool.Kind == InFlight || p.rng.IntN(3) == 0 {
			p.running = append(p.running, u)
		}
	}
}

func TestCore_AgreesWithNaiveModel(t *testing.T) {
	t.Parallel()
	const length = 100
	logs, steps, granted := uint64(2500), 0, 0
	if raceEnabled || os.Getenv("VEGA_SEEDED_BUG") != "" {
		logs = 300
	}
	for seed := range logs {
		p := newPair(t, seed)
		p.open()
		for p.step = range length {
			p.act()
			granted += p.dispatch()
			p.compare()
			steps++
		}
	}
	fmt.Fprintf(os.Stdout, "figures: core-vs-naive logs=%d steps=%d granted=%d differences=0\n", logs, steps, granted)
}
