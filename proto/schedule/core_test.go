package schedule

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/vega-gateway/vega/proto/ruleset"
)

// to 是按先后各去一个 server 的候选，同一层。
func to(servers ...string) (list []Candidate) {
	for _, s := range servers {
		list = append(list, Candidate{Server: s, UpstreamModel: "m", Weight: 1})
	}
	return list
}

// yard 是一个测试用的队：请求按名字记。
type yard struct {
	*Core
	t  *testing.T
	id uint64
}

func newYard(t *testing.T) *yard { return &yard{Core: NewCore(), t: t} }

func (y *yard) slots(server string, n int64) {
	y.SetCap(1, Pool{Server: server, Kind: InFlight}, Cap{Mode: Count, N: n})
}

// wait 让一个请求从 at 起等；Tag 是它的名字。
func (y *yard) wait(at Time, name string, r *Request, candidates []Candidate) *Waiter {
	y.t.Helper()
	y.id++
	w := &Waiter{Request: *r, ID: y.id, Arrived: at, Candidates: candidates, Tag: name}
	if _, refused := y.Arrive(at, w, false); refused {
		y.t.Fatalf("%s refused", name)
	}
	return w
}

// granted 派发到没有为止，列出名字与去处。
func (y *yard) granted(now Time) (list []string) {
	for {
		w, i, ok := y.Dispatch(now)
		if !ok {
			return list
		}
		list = append(list, w.Tag.(string)+"@"+w.Candidates[i].Server)
	}
}

func (y *yard) expect(now Time, want ...string) {
	y.t.Helper()
	if got := y.granted(now); !slices.Equal(got, want) {
		y.t.Fatalf("granted %v, want %v", got, want)
	}
}

func (y *yard) done(now Time, server string) { y.Give(now, Pool{Server: server, Kind: InFlight}, 1) }

// 任何一个池不够就一个也不扣。
func TestCore_TakesAllOrNothing(t *testing.T) {
	pools := []Pool{
		{Server: "s", Kind: InFlight}, {Server: "s", Kind: Requests}, {Server: "s", Kind: Tokens},
		{App: "a", Kind: InFlight}, {App: "a", Kind: Requests}, {App: "a", Kind: Tokens},
	}
	for _, short := range pools {
		y := newYard(t)
		for _, p := range pools {
			y.SetCap(1, p, Cap{Mode: Count, N: 100})
			if p.Kind != InFlight {
				y.SetCap(1, p, Cap{Mode: Stock})
				y.SetLevel(1, p, 100)
			}
		}
		missing, _ := y.Free(1, short)
		if short.Kind == Tokens {
			missing -= 29
		}
		y.Take(1, short, missing)
		y.wait(1, "x", tokens("a", 30), to("s"))
		y.expect(2)
		for _, p := range pools {
			if blocked := y.Blocked(p); blocked != (p == short) {
				t.Errorf("short of %v: blocked %v is %v", short, p, blocked)
			}
			if n := free(t, y.Core, 2, p); p != short && n != 100 {
				t.Errorf("short of %v: %d left in %v", short, n, p)
			}
		}
		y.Give(3, short, missing)
		y.expect(3, "x@s")
		for _, p := range pools {
			want := int64(99)
			if p.Kind == Tokens {
				want = 70
			}
			if n := free(t, y.Core, 3, p); n != want {
				t.Errorf("%d left in %v, want %d", n, p, want)
			}
		}
	}
}

func TestCore_ServesInOrderOfArrivalWithinAFlow(t *testing.T) {
	y := newYard(t)
	y.slots("s", 0)
	for _, at := range []Time{30, 10, 20} {
		w := &Waiter{Request: *tokens("a", 1), ID: uint64(at), Arrived: at, Candidates: to("s"), Tag: "x" + string(rune('0'+at/10))}
		y.Arrive(40, w, false)
	}
	y.slots("s", 3)
	y.expect(50, "x1@s", "x2@s", "x3@s")
}

// 排头要的多，server 的池不够：后面要得少的不得越过。
func TestCore_SmallOnesDoNotOvertake(t *testing.T) {
	y := newYard(t)
	p := Pool{Server: "s", Kind: Tokens}
	y.SetCap(1, p, Cap{Mode: Stock})
	y.SetLevel(1, p, 50)
	y.wait(1, "large", tokens("a", 60), to("s"))
	y.wait(2, "small", tokens("b", 10), to("s"))
	y.wait(3, "tiny", tokens("a", 1), to("s"))
	y.expect(4)
	if v := y.Judge(4, "s", "m", tokens("c", 1)); v != ruleset.Full {
		t.Fatalf("a newcomer would overtake: %v", v)
	}
	y.Give(5, p, 25)
	y.expect(5, "large@s", "small@s", "tiny@s")
}

// app 自己的池挡住的停到一边，不占着 server 的队；池有了就回来。
func TestCore_ParkedFlowDoesNotHoldTheServer(t *testing.T) {
	y := newYard(t)
	y.slots("s", 2)
	own := Pool{App: "a", Kind: InFlight}
	y.SetCap(1, own, Cap{Mode: Count, N: 0})
	y.wait(1, "a1", tokens("a", 1), to("s"))
	y.wait(2, "b1", tokens("b", 1), to("s"))
	y.expect(3, "b1@s")
	if !y.Blocked(own) || y.Blocked(Pool{Server: "s", Kind: InFlight}) {
		t.Fatal("only the pool of the app blocks")
	}
	if v := y.Judge(3, "s", "m", tokens("c", 1)); v != ruleset.Startable {
		t.Fatalf("a parked flow keeps others out: %v", v)
	}
	y.SetCap(4, own, Cap{Mode: Count, N: 1})
	y.expect(4, "a1@s")
}

func TestCore_RemovedNeverStarts(t *testing.T) {
	y := newYard(t)
	y.slots("s1", 0)
	y.slots("s2", 0)
	x := y.wait(1, "x", tokens("a", 1), to("s1", "s2", "s1"))
	y.wait(2, "y", tokens("a", 1), to("s2"))
	y.Remove(3, x)
	y.Remove(3, x)
	y.slots("s1", 1)
	y.slots("s2", 1)
	y.expect(4, "y@s2")
}

func TestCore_SaysSinceWhenTheOldestOfEachAppWaits(t *testing.T) {
	y := newYard(t)
	y.slots("s1", 1)
	y.slots("s2", 0)
	stood := func() (list []string) {
		y.Waiting("s1", func(app string, n int64, oldest Time) {
			list = append(list, fmt.Sprint(app, " ", n, " since ", int64(oldest)))
		})
		return list
	}
	if got := stood(); got != nil {
		t.Fatal(got)
	}
	batch := tokens("b", 1)
	batch.Class = Batch
	y.wait(3, "first", tokens("a", 1), to("s1"))
	y.wait(5, "second", tokens("a", 1), to("s2", "s1"))
	y.wait(4, "third", tokens("a", 1), to("s2", "s1"))
	y.wait(9, "late", tokens("b", 1), to("s1"))
	y.wait(7, "batch", batch, to("s1"))
	y.wait(1, "elsewhere", tokens("a", 1), to("s2"))
	if got := stood(); !slices.Equal(got, []string{"a 3 since 3", "b 2 since 7"}) {
		t.Fatal(got)
	}
	if got := y.granted(10); !slices.Equal(got, []string{"first@s1"}) {
		t.Fatal(got)
	}
	if got := stood(); !slices.Equal(got, []string{"a 2 since 4", "b 2 since 7"}) {
		t.Fatal(got)
	}
}

func TestCore_MaxWaitingRefusesOnlyWhenEveryCandidateIsCrowded(t *testing.T) {
	y := newYard(t)
	y.slots("s1", 0)
	y.slots("s2", 0)
	y.SetServer("s1", 1)
	y.SetServer("s2", 2)
	y.wait(1, "x", tokens("a", 1), to("s1"))
	y.wait(1, "y", tokens("a", 1), to("s1", "s2"))
	y.wait(1, "z", tokens("a", 1), to("s1", "s2"))
	w := &Waiter{Request: *tokens("a", 1), ID: 99, Candidates: to("s1", "s2")}
	r, refused := y.Arrive(2, w, false)
	if !refused || r.Code != "queue_full" || r.RetryAfter < time.Second || y.Queued(w) {
		t.Fatalf("%v %+v", refused, r)
	}
	var names []string
	y.Waiting("s1", func(app string, _ int64, _ Time) { names = append(names, app) })
	if !slices.Equal(names, []string{"a"}) {
		t.Fatal(names)
	}
}
