package schedule

import (
	"fmt"
	"testing"
	"time"
)

// 配置里删去的 server 与 app 不留下内存；还有单位在外的留着账。
func TestCore_ForgetsServersAndAppsThatAreGone(t *testing.T) {
	c := NewCore()
	for i := range 100 {
		server, app := Pool{Server: fmt.Sprint("s", i), Kind: InFlight}, Pool{App: fmt.Sprint("a", i), Kind: InFlight}
		for _, p := range []Pool{server, app} {
			c.SetCap(1, p, Cap{Mode: Count, N: 1})
		}
		c.SetServer(server.Server, 10)
		c.Start(1, server.Server, "m", tokens(app.App, 10))
		w := &Waiter{Request: *tokens(app.App, 10), ID: 1, Arrived: 2, Candidates: to(server.Server)}
		c.Arrive(2, w, false)
		c.Remove(2, w)
		c.Pause(2, server.Server, "m", 4)
		c.SetServer(server.Server, 0)
		for _, p := range []Pool{server, app} {
			c.SetCap(3, p, Cap{})
		}
		if c.servers[server.Server] == nil || c.apps[app.App] == nil {
			t.Fatal("forgotten with a unit out")
		}
		for _, p := range []Pool{server, app} {
			c.Give(5, p, 1)
		}
	}
	if len(c.servers) > 0 || len(c.apps) > 0 || c.Next() != 0 {
		t.Fatalf("%d servers and %d apps are remembered, next %d", len(c.servers), len(c.apps), c.Next())
	}
}

func TestCore_ReportsBurstAndRefill(t *testing.T) {
	c := NewCore()
	for _, x := range []struct {
		cap   Cap
		burst int64
		full  time.Duration
	}{
		{Cap{Mode: Rate, N: 600, BurstPercent: 10}, 60, (6*61*time.Second + 540) / 541},
		{Cap{Mode: Rate, N: 5, BurstPercent: 10}, 1, 6 * 61 * time.Second / 5},
		{Cap{Mode: Stock}, 0, 0},
		{Cap{}, 0, 0},
	} {
		p := Pool{Server: fmt.Sprint(x.cap), Kind: Requests}
		c.SetCap(1, p, x.cap)
		c.Take(1, p, 6)
		if b, f := c.Burst(p), c.Full(1, p); b != x.burst || f != x.full {
			t.Errorf("%v: burst %d, full in %v, want %d and %v", x.cap, b, f, x.burst, x.full)
		}
	}
}

// 成批报来的与一个一个报来的，平均相近。
func TestEstimate_BatchesWeighAsTheirRequests(t *testing.T) {
	var single, batch pace
	for i := range 50 {
		for range 20 {
			single.add(float64(i%7), 1)
		}
		batch.add(20*float64(i%7), 20)
	}
	if d := single.mean - batch.mean; d > 0.01 || d < -0.01 {
		t.Fatalf("%.3f one by one, %.3f in batches", single.mean, batch.mean)
	}
}
