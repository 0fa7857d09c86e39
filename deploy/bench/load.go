package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// client 是一臂的负载发生器。
type client struct {
	http *http.Client
	arm  arm
	body []byte
	sse  bool
}

func newClient(a arm, workload string) *client {
	stream := workload != "json"
	body := fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":"How fast are you today?"}]}`, a.model(workload), stream)
	return &client{arm: a, body: []byte(body), sse: stream, http: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 20000, MaxConnsPerHost: 0, DisableCompression: true, IdleConnTimeout: time.Minute}}}
}

// once 做一次请求并读完；firstByte 是到首个正文字节，chunks 是数据事件数。
func (c *client) once(ctx context.Context) (firstByte time.Duration, chunks int, err error) {
	start := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.arm.url+"/chat/completions", bytes.NewReader(c.body))
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Authorization", "Bearer "+c.arm.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	var last [16]byte // 末尾几个字节，够认出 [DONE]
	for {
		n, err := resp.Body.Read(*buf)
		if n > 0 {
			if firstByte == 0 {
				firstByte = time.Since(start)
			}
			chunks += bytes.Count((*buf)[:n], []byte("data: "))
			keepTail(&last, (*buf)[:n])
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return firstByte, chunks, err
		}
	}
	if resp.StatusCode != http.StatusOK {
		return firstByte, chunks, fmt.Errorf("status %d", resp.StatusCode)
	}
	if c.sse && !strings.Contains(string(last[:]), "[DONE]") {
		return firstByte, chunks, errors.New("stream ended without [DONE]")
	}
	return firstByte, chunks, nil
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 4<<10); return &b }}

func keepTail(last *[16]byte, p []byte) {
	if len(p) >= len(last) {
		copy(last[:], p[len(p)-len(last):])
		return
	}
	copy(last[:], last[len(p):])
	copy(last[len(last)-len(p):], p)
}

// run 是一段负载的结果。
type run struct {
	requests int
	chunks   int
	errors   int
	firstErr error
	cpu      time.Duration
	wall     time.Duration
	latency  []time.Duration // 到首字节（流）或读完（JSON）
}

func (r run) rate() float64 { return float64(r.requests) / r.wall.Seconds() }

func (r run) percentile(p float64) time.Duration {
	if len(r.latency) == 0 {
		return 0
	}
	slices.Sort(r.latency)
	return r.latency[min(len(r.latency)-1, int(p*float64(len(r.latency))))]
}

// collector 汇总并发的请求。
type collector struct {
	mu sync.Mutex
	r  run
}

func (c *collector) add(d time.Duration, chunks int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.r.errors++
		if c.r.firstErr == nil {
			c.r.firstErr = err
		}
		return
	}
	c.r.requests++
	c.r.chunks += chunks
	c.r.latency = append(c.r.latency, d)
}

// warm 让 n 个客户端各请求一次，连接都建好。
func (c *client) warm(ctx context.Context, n int) error {
	var col collector
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			first, chunks, err := c.once(ctx)
			col.add(first, chunks, err)
		})
	}
	wg.Wait()
	if col.r.requests == 0 { // 零星的错误到量的时候自会数出来
		return fmt.Errorf("warm up: %w", col.r.firstErr)
	}
	return nil
}

// closed 由 n 个客户端一个接一个地请求，量 slice 那么久。
func (c *client) closed(ctx context.Context, n int, slice time.Duration) (run, error) {
	if err := c.warm(ctx, n); err != nil {
		return run{}, err
	}
	var col collector
	before, err := c.arm.cpu()
	if err != nil {
		return run{}, err
	}
	start := time.Now()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for time.Since(start) < slice && ctx.Err() == nil {
				t := time.Now()
				first, chunks, err := c.once(ctx)
				if !c.sse {
					first = time.Since(t)
				}
				col.add(first, chunks, err)
			}
		})
	}
	wg.Wait()
	return finish(&col, c, start, before)
}

// open 以固定的速率请求，不等前一个回来；延迟从该发的时刻算起。
func (c *client) open(ctx context.Context, rate int, slice time.Duration) (run, error) {
	var col collector
	before, err := c.arm.cpu()
	if err != nil {
		return run{}, err
	}
	start := time.Now()
	var wg sync.WaitGroup
	for i := 0; ; i++ {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		if due.Sub(start) >= slice || ctx.Err() != nil {
			break
		}
		time.Sleep(time.Until(due))
		wg.Go(func() {
			_, chunks, err := c.once(ctx)
			col.add(time.Since(due), chunks, err)
		})
	}
	wg.Wait()
	return finish(&col, c, start, before)
}

func finish(col *collector, c *client, start time.Time, before time.Duration) (run, error) {
	col.r.wall = time.Since(start)
	after, err := c.arm.cpu()
	if err != nil {
		return run{}, err
	}
	col.r.cpu = after - before
	c.http.CloseIdleConnections()
	if col.r.requests == 0 {
		return col.r, fmt.Errorf("no request succeeded: %w", col.r.firstErr)
	}
	return col.r, nil
}

// opened 是同时开着许多慢流时的样子。
type opened struct {
	arm       string
	streams   int
	errors    int
	firstErr  error
	rssBefore int64
	rssOpen   int64
	ttftP50   time.Duration
	ttftP99   time.Duration
}

func (o opened) perStream() float64 {
	return float64(o.rssOpen-o.rssBefore) / float64(o.streams) / 1024
}

// openStreams 在几秒里开满 n 条慢流，全开着时看内存，然后等每一条完整结束。
func openStreams(ctx context.Context, a arm, n int) (opened, error) {
	c := newClient(a, "slow")
	o := opened{arm: a.name, streams: n}
	var err error
	if o.rssBefore, err = a.rss(); err != nil {
		return o, err
	}
	var col collector
	var live atomic.Int64
	var wg sync.WaitGroup
	pace := 8 * time.Second / time.Duration(n)
	start := time.Now()
	for i := range n {
		time.Sleep(time.Until(start.Add(time.Duration(i) * pace)))
		wg.Go(func() {
			live.Add(1)
			defer live.Add(-1)
			first, chunks, err := c.once(ctx)
			col.add(first, chunks, err)
		})
	}
	time.Sleep(4 * time.Second)
	if got := live.Load(); got < int64(n)*99/100 {
		o.firstErr = fmt.Errorf("only %d streams were open at once", got)
	}
	if o.rssOpen, err = a.rss(); err != nil {
		return o, err
	}
	wg.Wait()
	c.http.CloseIdleConnections()
	o.errors = col.r.errors
	if col.r.firstErr != nil {
		o.firstErr = col.r.firstErr
	}
	o.ttftP50, o.ttftP99 = col.r.percentile(0.5), col.r.percentile(0.99)
	time.Sleep(time.Second)
	return o, nil
}
