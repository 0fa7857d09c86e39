package schedule

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/vega-gateway/vega/proto/ruleset"
)

func pcg(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 11)) }

const second = Time(time.Second)

func tokens(app string, n int64) *Request {
	return &Request{App: app, Class: Standard, Weight: 1, Cost: Cost{Prompt: n}}
}

func free(t *testing.T, c *Core, now Time, p Pool) int64 {
	t.Helper()
	n, limited := c.Free(now, p)
	if !limited {
		t.Fatalf("%v is not limited", p)
	}
	return n
}

func TestPool_LoweredLimitWaitsUntilRepaid(t *testing.T) {
	c, p := NewCore(), Pool{Server: "s", Kind: InFlight}
	c.SetCap(1, p, Cap{Mode: Count, N: 4})
	for range 4 {
		c.Start(1, "s", "m", tokens("a", 1))
	}
	c.SetCap(1, p, Cap{Mode: Count, N: 2})
	if n := free(t, c, 1, p); n != -2 {
		t.Fatalf("free %d, want -2", n)
	}
	for given := 1; given <= 3; given++ {
		c.Give(1, p, 1)
		want := ruleset.Full
		if given == 3 {
			want = ruleset.Startable
		}
		if v := c.Judge(1, "s", "m", tokens("a", 1)); v != want {
			t.Fatalf("after %d given back: %v, want %v", given, v, want)
		}
	}
}

// 限额撤了又设上，期间没有归还的仍在账上。
func TestPool_UnlimitedKeepsCountingWhatIsOut(t *testing.T) {
	c, p := NewCore(), Pool{Server: "s", Kind: InFlight}
	c.SetCap(1, p, Cap{Mode: Count, N: 4})
	c.Take(1, p, 3)
	c.SetCap(1, p, Cap{})
	if _, limited := c.Free(1, p); limited {
		t.Fatal("still limited")
	}
	c.Give(1, p, 1)
	c.SetCap(1, p, Cap{Mode: Count, N: 4})
	if n := free(t, c, 1, p); n != 2 {
		t.Fatalf("free %d, want 2", n)
	}
}

func TestPool_SameCapChangesNothing(t *testing.T) {
	c, p := NewCore(), Pool{App: "a", Kind: Tokens}
	c.SetCap(1, p, Cap{Mode: Rate, N: 1000, BurstPercent: 10})
	c.Take(1, p, 70)
	c.SetCap(1, p, Cap{Mode: Rate, N: 1000, BurstPercent: 10})
	if n := free(t, c, 1, p); n != 30 {
		t.Fatalf("level %d, want 30", n)
	}
}

// 比桶还大的请求在桶满时放行，欠账还清之前别的不放行；结算退回的立刻有用。
func TestPool_LargerThanTheBucketRunsIntoDebt(t *testing.T) {
	c, p := NewCore(), Pool{Server: "s", Kind: Tokens}
	c.SetCap(1, p, Cap{Mode: Rate, N: 1000, BurstPercent: 10})
	c.Take(1, p, 1)
	if v := c.Judge(1, "s", "m", tokens("a", 5000)); v != ruleset.Full {
		t.Fatalf("not full yet, but %v", v)
	}
	c.Give(1, p, 1)
	if v := c.Judge(1, "s", "m", tokens("a", 5000)); v != ruleset.Startable {
		t.Fatalf("full, but %v", v)
	}
	c.Start(1, "s", "m", tokens("a", 5000))
	if n := free(t, c, 1, p); n != -4900 {
		t.Fatalf("level %d, want -4900", n)
	}
	if v := c.Judge(1, "s", "m", tokens("a", 1)); v != ruleset.Full {
		t.Fatalf("in debt, but %v", v)
	}
	c.Give(1, p, 4950)
	if v := c.Judge(1, "s", "m", tokens("a", 50)); v != ruleset.Startable {
		t.Fatalf("after the refund %v", v)
	}
	if d := c.Full(1, p); d <= 0 || d > 4*time.Second {
		t.Fatalf("full after %v", d)
	}
}

func TestPool_RequestWithoutTokensIgnoresTokenDebt(t *testing.T) {
	c, p := NewCore(), Pool{Server: "s", Kind: Tokens}
	c.SetCap(1, p, Cap{Mode: Rate, N: 100, BurstPercent: 10})
	c.Take(1, p, 500)
	if v := c.Judge(1, "s", "m", tokens("a", 0)); v != ruleset.Startable {
		t.Fatal(v)
	}
}

func TestPool_StockMovesOnlyByHand(t *testing.T) {
	c, p := NewCore(), Pool{Server: "s", Kind: Requests}
	c.SetCap(1, p, Cap{Mode: Stock})
	if v := c.Judge(1, "s", "m", tokens("a", 1)); v != ruleset.Full {
		t.Fatalf("empty, but %v", v)
	}
	c.Give(1, p, 2)
	c.Start(1, "s", "m", tokens("a", 1))
	if n := free(t, c, Time(time.Hour), p); n != 1 {
		t.Fatalf("level %d after an hour, want 1", n)
	}
	c.SetLevel(1, p, 0)
	if n := free(t, c, 1, p); n != 0 {
		t.Fatalf("level %d, want 0", n)
	}
}

func TestPool_ZeroRateAdmitsNothing(t *testing.T) {
	c, p := NewCore(), Pool{Server: "s", Kind: Requests}
	c.SetCap(1, p, Cap{Mode: Rate, N: 0, BurstPercent: 100})
	if v := c.Judge(Time(time.Hour), "s", "m", tokens("a", 1)); v != ruleset.Full {
		t.Fatal(v)
	}
	w := &Waiter{Request: *tokens("a", 1), Candidates: to("s")}
	c.Arrive(1, w, false)
	if _, _, ok := c.Dispatch(2); ok || c.Next() != 0 {
		t.Fatalf("dispatched %v, next %d", ok, c.Next())
	}
}
