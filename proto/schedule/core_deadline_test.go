package schedule

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// 一万个随机的期限：只在 Next 说的时刻去看，每个都恰在期限上，按期限的先后，一个不多一个不少。
func TestDeadline_ExpiresExactlyWhenDue(t *testing.T) {
	const n = 10_000
	c, rng := NewCore(), pcg(3)
	c.SetCap(1, Pool{Server: "s", Kind: InFlight}, Cap{Mode: Count, N: 0})
	waiters := make([]*Waiter, n)
	for i := range waiters {
		waiters[i] = &Waiter{
			Request: *tokens(fmt.Sprint("app", i%9), 1), ID: uint64(i), Arrived: second,
			Deadline: second.Add(time.Duration(rng.Int64N(int64(30 * time.Second)))), Candidates: to("s"),
		}
		c.Arrive(second, waiters[i], false)
	}
	for _, w := range waiters[:n/10] {
		c.Remove(second, w)
	}
	var early, late time.Duration
	var last Time
	expired := 0
	for at := c.Next(); at != 0; at = c.Next() {
		if c.Expire(at-1) != nil {
			t.Fatal("expired before the deadline")
		}
		w := c.Expire(at)
		if w == nil {
			t.Fatalf("nothing at %d, though Next said so", at)
		}
		early, late = max(early, w.Deadline.Sub(at)), max(late, at.Sub(w.Deadline))
		if w.Deadline < last || c.Queued(w) || w.ID < n/10 {
			t.Fatalf("out of order, or still queued: %+v", w)
		}
		last = w.Deadline
		expired++
	}
	fmt.Fprintf(os.Stdout, "figures: core-deadlines waiters=%d expired=%d early=%s late=%s\n", n-n/10, expired, early, late)
	if expired != n-n/10 || early > 0 || late > 0 || c.WaitingTotal() != 0 {
		t.Fatalf("%d expired, %d left", expired, c.WaitingTotal())
	}
}

func TestDeadline_ZeroNeverExpires(t *testing.T) {
	y := newYard(t)
	y.slots("s", 0)
	y.wait(1, "x", tokens("a", 1), to("s"))
	if w := y.Expire(Time(time.Hour)); w != nil || y.Next() != 0 {
		t.Fatal("expired without a deadline")
	}
}

func TestDeadline_GrantedOrRemovedDoesNotExpire(t *testing.T) {
	y := newYard(t)
	y.slots("s", 1)
	for i := range uint64(2) {
		w := &Waiter{Request: *tokens("a", 1), ID: i, Arrived: 1, Deadline: 5, Candidates: to("s"), Tag: fmt.Sprint(i)}
		y.Arrive(1, w, false)
		if i == 1 {
			y.Remove(2, w)
		}
	}
	y.expect(3, "0@s")
	if w := y.Expire(10); w != nil {
		t.Fatalf("%v has its outcome already", w.Tag)
	}
}

// 每个请求恰有一个结局，排队、派发、取消、过期随便交错。
func TestCore_EveryRequestHasOneOutcome(t *testing.T) {
	rng := pcg(9)
	y := newYard(t)
	y.slots("s1", 2)
	y.slots("s2", 1)
	outcomes := map[*Waiter]int{}
	var queue []*Waiter
	var busy []string
	now := second
	for range 20_000 {
		now = now.Add(time.Duration(rng.Int64N(int64(time.Millisecond))))
		switch rng.IntN(4) {
		case 0, 1:
			w := y.wait(now, "", tokens(string(rune('a'+rng.IntN(4))), rng.Int64N(9)), [][]Candidate{to("s1"), to("s2"), to("s1", "s2")}[rng.IntN(3)])
			y.Remove(now, w)
			w.Deadline = now.Add(time.Duration(rng.Int64N(int64(20 * time.Millisecond))))
			y.Arrive(now, w, false)
			queue, outcomes[w] = append(queue, w), 0
		case 2:
			if len(busy) > 0 {
				y.done(now, busy[0])
				busy = busy[1:]
			}
		case 3:
			if w := queue[max(0, len(queue)-1-rng.IntN(20)):]; len(w) > 0 && y.Queued(w[0]) {
				y.Remove(now, w[0])
				outcomes[w[0]]++
			}
		}
		for w := y.Expire(now); w != nil; w = y.Expire(now) {
			outcomes[w]++
		}
		for w, i, ok := y.Dispatch(now); ok; w, i, ok = y.Dispatch(now) {
			outcomes[w]++
			busy = append(busy, w.Candidates[i].Server)
		}
	}
	left := 0
	for w, n := range outcomes {
		if y.Queued(w) {
			left++
			n++
		}
		if n != 1 {
			t.Fatalf("%d outcomes", n)
		}
	}
	if int64(left) != y.WaitingTotal() {
		t.Fatalf("%d in the queue, %d counted", left, y.WaitingTotal())
	}
}

// 有空位、有谁去得了，就必须派发：派发完之后，每个在等的都说得出是哪个池或哪个暂停在挡它，或者它前面的人被挡着。
func TestCore_WorkConserving(t *testing.T) {
	for seed := range uint64(300) {
		p := newPair(t, seed+1_000_000)
		p.open()
		for p.step = range 60 {
			p.act()
			p.dispatch()
			for _, w := range p.queue {
				if server := p.idleFor(w); server != "" {
					p.fail("%v could start at %s and nobody stands before it", w, server)
				}
			}
		}
	}
}

// idleFor 是一个 w 现在就能去、而且那里没有谁在场的 server。
func (p *pair) idleFor(w *Waiter) string {
	i := slices.IndexFunc(w.Candidates, func(c Candidate) bool {
		return c.Weight > 0 && !p.naive.paused(p.now, c.Server, c.UpstreamModel) && !p.naive.anyPresent(c.Server) &&
			len(p.naive.blocking(p.now, c.Server, &w.Request, true))+len(p.naive.blocking(p.now, c.Server, &w.Request, false)) == 0 &&
			p.naive.head(p.now, flowKey(c.Server, &w.Request)) == p.twins[w]
	})
	if i < 0 {
		return ""
	}
	return w.Candidates[i].Server
}
