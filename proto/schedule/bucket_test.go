package schedule

import (
	"fmt"
	"math"
	"math/big"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// admission 是一个没有退回的单位：何时放行，何时真正到了上游（至多迟 1 s）。
type admission struct{ at, used Time }

// demand 在 length 之内以随机的样子要单位，要得到的有一些在 1 s 之内退回。
func demand(t *rapid.T, c *Core, p Pool, length time.Duration) (list []admission) {
	now := Time(rapid.Int64Range(1, 1e12).Draw(t, "start"))
	end := now.Add(length)
	refunds := rapid.IntRange(0, 50).Draw(t, "refund percent")
	late := rapid.SampledFrom([]string{"prompt", "late", "mixed", "herd"}).Draw(t, "lateness")
	rng := pcg(rapid.Uint64().Draw(t, "seed"))
	var back []Time
	for now < end {
		slices.Sort(back)
		for len(back) > 0 && back[0] <= now {
			c.Leave(back[0], p, -1)
			c.Give(back[0], p, 1)
			back = back[1:]
		}
		for range rng.IntN(400) {
			if free, _ := c.Free(now, p); free < 1 {
				break
			}
			c.Take(now, p, 1)
			if rng.IntN(100) < refunds {
				c.Leave(now, p, 1) // 要退回来的
				back = append(back, now.Add(time.Duration(rng.Int64N(int64(time.Second)))))
				continue
			}
			list = append(list, admission{now, now.Add(lateness(late, now, rng.Int64N(int64(time.Second)+1)))})
		}
		now = now.Add(time.Duration(rng.Int64N(int64(300*time.Millisecond)) * int64(rng.IntN(2)+rng.IntN(20)/19*40)))
		if next := nextBack(back, now); next < now {
			now = next
		}
	}
	return list
}

func nextBack(back []Time, now Time) Time {
	for _, b := range back {
		now = min(now, b)
	}
	return now
}

// lateness 是放行之后多久才真正开始；herd 让一段时间里的都挤到同一刻。
func lateness(how string, at Time, r int64) time.Duration {
	switch how {
	case "late":
		return time.Second
	case "mixed":
		return time.Duration(r)
	case "herd":
		return (time.Second - time.Duration(at)%time.Second) % time.Second
	}
	return 0
}

// most 是任何 [t, t+60 s) 里到达上游的最多几个。
func most(list []admission) (n int64) {
	times := make([]Time, len(list))
	for i := range list {
		times[i] = list[i].used
	}
	slices.Sort(times)
	for from, to := 0, 0; to < len(times); to++ {
		for times[to].Sub(times[from]) >= time.Minute {
			from++
		}
		n = max(n, int64(to-from+1))
	}
	return n
}

func TestBucket_AnySixtySecondsHoldAtMostN(t *testing.T) {
	t.Parallel()
	cases, worst := 0, 0.0
	law := func(t *rapid.T) {
		n := rapid.OneOf(rapid.Int64Range(1, 100), rapid.Int64Range(1, 10_000)).Draw(t, "n")
		burst := rapid.Int64Range(0, 100).Draw(t, "burst percent")
		c, p := NewCore(), Pool{Server: "s", Kind: Requests}
		c.SetCap(1, p, Cap{Mode: Rate, N: n, BurstPercent: burst})
		got := most(demand(t, c, p, 3*time.Minute))
		if got > n {
			t.Fatalf("%d reached the upstream within 60 s, the limit is %d", got, n)
		}
		cases++
		worst = max(worst, float64(got)/float64(n))
	}
	rounds := 10
	if raceEnabled { // 单线程的计算，检测不出什么，只是慢
		rounds = 1
	}
	for range rounds {
		rapid.Check(t, law)
	}
	fmt.Fprintf(os.Stdout, "figures: rate-window cases=%d over=0 fullest=%.3f\n", cases, worst)
}

// 只守住上限是不够的：一直有需求时也要放行得够多。
func TestBucket_SustainsMostOfTheLimit(t *testing.T) {
	for _, n := range []int64{1, 5, 60, 6000} {
		c, p := NewCore(), Pool{Server: "s", Kind: Requests}
		c.SetCap(1, p, Cap{Mode: Rate, N: n, BurstPercent: 10})
		var list []admission
		now, end := Time(1), Time(1).Add(20*time.Minute)
		for now < end {
			if free, _ := c.Free(now, p); free > 0 {
				c.Take(now, p, 1)
				list = append(list, admission{now, now})
				continue
			}
			b := &c.servers["s"].pools[Requests-InFlight].bucket
			now = b.until(1)
		}
		sustained := float64(len(list)) / 20 / float64(n)
		if got := most(list); got > n || sustained < 0.88 {
			t.Errorf("n=%d: max %d in 60 s, sustained %.3f", n, got, sustained)
		} else {
			fmt.Fprintf(os.Stdout, "figures: rate-limit n=%d max=%d sustained=%.3f\n", n, got, sustained)
		}
	}
}

// until 是头一个够了的时刻：早 1 ns 都不够。时刻大得记不下（292 年以后）就是永远到不了。
func TestBucket_UntilIsTheFirstMoment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1e9).Draw(t, "n")
		b := newBucket(0, n, rapid.Int64Range(0, 100).Draw(t, "burst percent"))
		b.move(-rapid.Int64Range(0, 3*n).Draw(t, "spent"))
		b.advance(Time(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "passed")))
		level := rapid.Int64Range(-n, b.size).Draw(t, "level")
		at := b.until(level)
		if b.level >= level {
			return
		}
		early, there := b, b
		if at == 0 {
			if early.advance(math.MaxInt64); early.level >= level {
				t.Fatalf("level %d at the end of time, said to be never", early.level)
			}
			return
		}
		early.advance(at - 1)
		if there.advance(at); early.level >= level || there.level < level {
			t.Fatalf("level %d at %d, %d just before, want %d", there.level, at, early.level, level)
		}
	})
}

// 分许多次补与一次补到位，结果一样，并且等于任意精度的算法。
func TestBucket_RefillsExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1e12).Draw(t, "n")
		b := newBucket(0, n, rapid.Int64Range(0, 100).Draw(t, "burst percent"))
		spent := rapid.Int64Range(0, 2*n).Draw(t, "spent")
		b.move(-spent)
		exact := new(big.Int).Mul(big.NewInt(b.size-spent), naiveSpan)
		full := new(big.Int).Mul(big.NewInt(b.size), naiveSpan)
		for range 20 {
			passed := rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "passed")
			b.advance(b.at + Time(passed))
			exact.Add(exact, new(big.Int).Mul(big.NewInt(passed), big.NewInt(b.rate)))
			if exact.Cmp(full) > 0 {
				exact.Set(full)
			}
			if got := new(big.Int).Div(exact, naiveSpan).Int64(); got != b.level {
				t.Fatalf("level %d, exactly %d", b.level, got)
			}
		}
	})
}

func TestBucket_ChangeKeepsTheFillAndTheDebt(t *testing.T) {
	for _, c := range []struct {
		name                       string
		n, burst, spend, m, burst2 int64
		want                       int64
	}{
		{"half full stays half full", 1000, 10, 50, 2000, 10, 100},
		{"rounded down", 30, 10, 1, 50, 10, 3},
		{"full stays full", 1000, 10, 0, 100, 10, 10},
		{"debt stays debt", 1000, 10, 250, 10, 10, -150},
		{"zero admits nothing", 1000, 10, 50, 0, 10, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBucket(0, c.n, c.burst)
			b.move(-c.spend)
			if got := b.resized(0, c.m, c.burst2).level; got != c.want {
				t.Fatalf("level %d, want %d", got, c.want)
			}
		})
	}
}
