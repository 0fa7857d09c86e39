package schedule

import (
	"fmt"
	"testing"
	"time"

	"github.com/vega-gateway/vega/proto/ruleset"
)

func limited(c *Core, servers int) {
	for i := range servers {
		name := fmt.Sprintf("server-%d", i)
		c.SetCap(1, Pool{Server: name, Kind: InFlight}, Cap{Mode: Count, N: 1 << 30})
		c.SetCap(1, Pool{Server: name, Kind: Requests}, Cap{Mode: Rate, N: 1 << 40, BurstPercent: 10})
		c.SetCap(1, Pool{Server: name, Kind: Tokens}, Cap{Mode: Rate, N: 1 << 45, BurstPercent: 10})
	}
	for i := range 10 {
		name := fmt.Sprintf("app-%d", i)
		c.SetCap(1, Pool{App: name, Kind: InFlight}, Cap{Mode: Count, N: 1 << 30})
		c.SetCap(1, Pool{App: name, Kind: Tokens}, Cap{Mode: Rate, N: 1 << 45, BurstPercent: 10})
	}
}

// BenchmarkCore_JudgeStartGive 是限额设了而没有到的热路：判、开始、归还两个在途单位。
func BenchmarkCore_JudgeStartGive(b *testing.B) {
	c := NewCore()
	limited(c, 10)
	requests := make([]Request, 10)
	for i := range requests {
		requests[i] = Request{App: fmt.Sprintf("app-%d", i), Class: Standard, Weight: 1, Cost: Cost{Prompt: 500, Output: 300}}
	}
	now := Time(time.Second)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := &requests[i%10]
		now += 1000
		if c.Judge(now, "server-3", "m", r) != ruleset.Startable {
			b.Fatal("not startable")
		}
		c.Start(now, "server-3", "m", r)
		c.Give(now, Pool{Server: "server-3", Kind: InFlight}, 1)
		c.Give(now, Pool{App: r.App, Kind: InFlight}, 1)
	}
}

// crowd 让 n 个请求在 4 个满了的 server 的队里等，每个站两处。
func crowd(n int) (*Core, []*Waiter) {
	c := NewCore()
	for i := range 4 {
		c.SetCap(1, Pool{Server: fmt.Sprintf("server-%d", i), Kind: InFlight}, Cap{Mode: Count, N: 0})
	}
	waiters := make([]*Waiter, n)
	for i := range waiters {
		waiters[i] = &Waiter{
			Request: Request{App: fmt.Sprintf("app-%d", i%50), Class: Class(i%3 + 1), Weight: int64(i%4 + 1), Cost: Cost{Prompt: 500, Output: int64(i % 1000)}},
			Node:    fmt.Sprintf("node-%d", i%8), ID: uint64(i), Arrived: Time(i/8 + 1), Deadline: Time(time.Hour) + Time(i),
			Candidates: []Candidate{
				{Server: fmt.Sprintf("server-%d", i%4), UpstreamModel: "m", Weight: 1},
				{Server: fmt.Sprintf("server-%d", (i+1)%4), UpstreamModel: "m", Weight: 1, Priority: 1},
			},
		}
		c.Arrive(2, waiters[i], false)
	}
	return c, waiters
}

// BenchmarkCore_ArriveDispatch 是一万个在等时的一轮：归还一个单位，派发一个，它又重新来排队。
func BenchmarkCore_ArriveDispatch(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("waiting=%d", n), func(b *testing.B) {
			c, _ := crowd(n)
			now := Time(n)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now += 1000
				at := Pool{Server: [4]string{"server-0", "server-1", "server-2", "server-3"}[i%4], Kind: InFlight}
				c.SetCap(now, at, Cap{Mode: Count, N: int64(i/4) + 1})
				w, _, ok := c.Dispatch(now)
				if !ok {
					b.Fatal("nothing to dispatch")
				}
				if _, _, ok := c.Dispatch(now); ok {
					b.Fatal("dispatched above the limit")
				}
				w.Arrived = now
				c.Arrive(now, w, false)
			}
		})
	}
}

// BenchmarkCore_DispatchNothing 是没有什么变过时的一眼。
func BenchmarkCore_DispatchNothing(b *testing.B) {
	c, _ := crowd(10_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := c.Dispatch(3); ok {
			b.Fatal("dispatched")
		}
	}
}

func BenchmarkCore_Remove(b *testing.B) {
	c, waiters := crowd(10_000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w := waiters[i*7919%len(waiters)]
		c.Remove(3, w)
		c.Arrive(3, w, false)
	}
}

func BenchmarkCore_Place(b *testing.B) {
	c, waiters := crowd(10_000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Place(3, waiters[i*7919%len(waiters)])
	}
}
