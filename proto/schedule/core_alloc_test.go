package schedule

import (
	"fmt"
	"testing"
	"time"
)

// 热路与排队在稳态下都不分配内存。
func TestCore_AllocatesNothingInSteadyState(t *testing.T) {
	if raceEnabled {
		return // 竞态检测自己会分配
	}
	hot, now := NewCore(), second
	limited(hot, 3)
	r := Request{App: "app-1", Class: Standard, Weight: 1, Cost: Cost{Prompt: 5, Output: 3}}
	queue, waiters := crowd(1000)
	later, step := Time(2000), int64(0)
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"judge, start, give, charge", func() {
			now += 1000
			hot.Judge(now, "server-1", "m", &r)
			hot.Start(now, "server-1", "m", &r)
			hot.Give(now, Pool{Server: "server-1", Kind: InFlight}, 1)
			hot.Charge(now, "server-1", "app-1", Standard, 1, -3)
			hot.Served(now, "server-1", "app-1", 1, time.Millisecond)
		}},
		{"take and free", func() {
			p := Pool{App: "app-1", Kind: Tokens}
			hot.Take(now, p, 3)
			hot.Free(now, p)
			hot.Full(now, p)
			hot.Give(now, p, 3)
		}},
		{"cancel and arrive", func() {
			later++
			w := waiters[later*7919%1000]
			queue.Remove(later, w)
			w.Arrived = later
			queue.Arrive(later, w, true)
		}},
		{"dispatch and arrive", func() {
			later++
			step++
			queue.SetCap(later, Pool{Server: "server-2", Kind: InFlight}, Cap{Mode: Count, N: step})
			w, _, ok := queue.Dispatch(later)
			if !ok {
				t.Fatal("nothing to dispatch")
			}
			queue.Dispatch(later)
			queue.Arrive(later, w, false)
		}},
		{"place and estimate", func() {
			queue.Place(later, waiters[later%1000])
			queue.Estimate(later, "server-1", &r)
		}},
	} {
		for range 3000 {
			c.run()
		}
		if n := testing.AllocsPerRun(3000, c.run); n > 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

// 同样的事件给出同样的结果：两个 Core 里 map 的次序不同，派发的次序相同。
func TestCore_IsDeterministic(t *testing.T) {
	run := func() (log []string) {
		y := newYard(t)
		rng := pcg(5)
		for i := range 12 {
			y.slots(fmt.Sprint("s", i), 0)
		}
		for i := range Time(300) {
			list := to(fmt.Sprint("s", rng.IntN(12)), fmt.Sprint("s", rng.IntN(12)), fmt.Sprint("s", rng.IntN(12)))
			y.wait(1+i/10, fmt.Sprint("w", i), tokens(fmt.Sprint("app", rng.IntN(20)), rng.Int64N(100)), list)
		}
		y.Pause(50, "s3", "m", 60)
		for i := range 12 {
			y.slots(fmt.Sprint("s", i), 9)
		}
		log = y.granted(55)
		for _, p := range y.Pauses(55) {
			log = append(log, p.Server)
		}
		y.Waiting("s3", func(app string, n int64, oldest Time) { log = append(log, fmt.Sprint(app, n, oldest)) })
		return append(log, y.granted(60)...)
	}
	first := run()
	for range 20 {
		again := run()
		if fmt.Sprint(again) != fmt.Sprint(first) {
			t.Fatalf("%v\n%v", first, again)
		}
	}
}
