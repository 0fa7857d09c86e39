package proof

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// kind 是混合负荷里的一种请求；它的公开模型名与上游模型名都是 name，账上就分得清。
type kind struct {
	name    string
	share   int           // 在一百个里占几个
	stream  int           // 一百个里有几个是流
	abort   time.Duration // 大于 0：客户端在写出之后这么久之内随机挂断
	path    string        // 空即 /chat/completions
	servers []string      // 目标
	prelude string        // 回退：没有这个名字的模型能服务时用它
}

// kinds 是全部的几种：正常的、客户端走的、上游出各种错的、没有用量的、要重试与回退的。
func kinds() []kind {
	both := []string{"a", "b"}
	return []kind{
		{name: "json", share: 22, servers: both},
		{name: "stream", share: 20, stream: 100, servers: both},
		{name: "long", share: 6, stream: 100, servers: both},
		{name: "embed", share: 6, path: "/embeddings", servers: both},
		{name: "abort", share: 12, stream: 70, abort: 250 * time.Millisecond, servers: both},
		{name: "silent", share: 6, stream: 50, servers: both},
		{name: "flaky", share: 7, stream: 50, servers: both},
		{name: "busy", share: 4, servers: both},
		{name: "cut", share: 4, stream: 60, servers: []string{"b"}},
		{name: "drop", share: 2, servers: []string{"a"}},
		{name: "late", share: 2, servers: []string{"late"}},
		{name: "e400", share: 3, stream: 30, servers: both},
		{name: "e500", share: 3, stream: 30, servers: both},
		{name: "fall", share: 3, servers: []string{"bad"}, prelude: "json"},
	}
}

// mixture 声明这几种模型、四个 server（同一个上游，凭证不同，账上由此认得）与两个 app。
func (f *fleet) mixture() doc {
	server := func(name string, more doc) doc {
		d := f.server(name, more)
		d["api_key"] = "sk-" + name
		return d
	}
	models := list{}
	for _, k := range kinds() {
		targets := list{}
		for _, s := range k.servers {
			targets = append(targets, doc{"server": s, "upstream_model": k.name})
		}
		m := doc{"name": k.name, "targets": targets,
			"prices": doc{"input_per_million": 2.5, "cached_input_per_million": 1.25, "output_per_million": 10, "currency": "USD"}}
		if k.prelude != "" {
			m["fallbacks"] = list{k.prelude}
		}
		models = append(models, m)
	}
	return doc{"models": models, "apps": list{app("team-a", 1), app("team-b", 1)}, "servers": list{
		server("a", nil), server("b", nil), server("bad", nil), server("late", doc{"timeouts": doc{"first_byte_ms": 300}})}}
}

// scripted 是上游对每种请求怎样作答；由请求号定，所以重放同一个请求号答得一样。
func scripted(r *upstreamtest.Request) upstreamtest.Behavior {
	h := fnv.New64a()
	_, _ = io.WriteString(h, r.ID)
	rng := rand.New(rand.NewPCG(h.Sum64(), 1))
	b := r.Default
	b.Latency = time.Duration(rng.IntN(40)) * time.Millisecond
	b.Chunks, b.ChunkDelay = 4+rng.IntN(10), time.Duration(5+rng.IntN(15))*time.Millisecond
	b.CachedTokens, b.ReasoningTokens = rng.IntN(5), rng.IntN(9)
	if strings.HasSuffix(r.Path, "/embeddings") { // 它的用量只有输入
		b.CachedTokens, b.ReasoningTokens = 0, 0
	}
	first := strings.HasSuffix(r.ID, "-1")
	switch r.Model {
	case "long":
		b.Chunks, b.ChunkDelay = 60, 30*time.Millisecond
		if rng.IntN(2) == 0 {
			b.Usage = upstreamtest.UsageCumulative
		}
	case "abort":
		b.Chunks, b.Latency = 20, time.Duration(20+rng.IntN(80))*time.Millisecond
	case "silent":
		b.Usage = upstreamtest.UsageMissing
	case "flaky":
		if first && rng.IntN(2) == 0 {
			b.Status = http.StatusServiceUnavailable
		}
	case "busy":
		if first && rng.IntN(3) == 0 {
			b.Status, b.RetryAfterMS = http.StatusTooManyRequests, "20"
		}
	case "cut":
		b.Half, b.HalfAfter = []string{upstreamtest.CutReset, upstreamtest.CutFIN, upstreamtest.CutShort}[rng.IntN(3)], 1+rng.IntN(3)
	case "drop":
		b.Drop = upstreamtest.CutReset
	case "late":
		b.Latency = 2 * time.Second
	case "e400":
		b.Status = http.StatusBadRequest
	case "e500", "fall":
		b.Status = http.StatusInternalServerError
	}
	return b
}

// outcome 是客户端眼里的一个请求。
type outcome struct {
	kind        string
	node        int
	id          string // 没有收到应答头则为空
	sent, ended time.Time
	status      int
	whole       bool // 看到了完整的正文，或流的终结事件
	aborted     bool // 我们自己挂断的
	unfinished  bool // 传输正常结束，流却没有终结事件
	err         error
}

// mixer 按份额发混合的负荷。
type mixer struct {
	f      *fleet
	only   string // 非空：只发这一种
	n      atomic.Int64
	mu     sync.Mutex
	seen   []outcome
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func (f *fleet) mixer() *mixer { return &mixer{f: f} }

// closed 起 n 个闭环的客户端，各自一个接一个地发，直到 finish。种子使每个客户端发什么可以重来。
func (m *mixer) closed(n int, seed uint64) {
	ctx, cancel := context.WithCancel(m.f.t.Context())
	m.cancel = cancel
	m.f.t.Cleanup(cancel)
	for i := range n {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		m.wg.Go(func() {
			for ctx.Err() == nil {
				if m.one(m.f.t.Context(), rng).err != nil {
					pause(ctx, time.Duration(20+rng.IntN(40))*time.Millisecond)
				}
			}
		})
	}
}

// steady 每秒发 rate 个，直到 finish；上一个答没答都照发。
func (m *mixer) steady(rate float64, seed uint64) {
	ctx, cancel := context.WithCancel(m.f.t.Context())
	m.cancel = cancel
	m.f.t.Cleanup(cancel)
	m.wg.Go(func() {
		rng := rand.New(rand.NewPCG(seed, 0))
		for at := time.Now(); ctx.Err() == nil; pause(ctx, time.Until(at)) {
			at = at.Add(time.Duration(rng.ExpFloat64() / rate * float64(time.Second)))
			own := rand.New(rand.NewPCG(rng.Uint64(), 0))
			m.wg.Go(func() { m.one(m.f.t.Context(), own) })
		}
	})
}

// finish 不再发新的，等在途的各有下场，返回全部。
func (m *mixer) finish() []outcome {
	m.cancel()
	m.wg.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen
}

// batch 以 clients 个闭环的客户端发完 n 个。
func (m *mixer) batch(clients, n int) []outcome {
	m.closed(clients, uint64(n))
	for {
		m.mu.Lock()
		have := len(m.seen)
		m.mu.Unlock()
		if have >= n {
			return m.finish()
		}
		pause(m.f.t.Context(), 10*time.Millisecond)
	}
}

// one 发一个，读完，记下。
func (m *mixer) one(ctx context.Context, rng *rand.Rand) outcome {
	k := m.draw(rng)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	o := outcome{kind: k.name, node: rng.IntN(len(m.f.Dataplanes)), sent: time.Now()}
	req := m.request(ctx, k, &o, rng)
	var hung atomic.Bool
	if k.abort > 0 {
		after := time.Duration(1+rng.Int64N(int64(k.abort/time.Millisecond))) * time.Millisecond
		var once sync.Once
		req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) {
			once.Do(func() { // 写出之后才挂断，否则无从数起
				time.AfterFunc(after, func() {
					hung.Store(true)
					cancel()
				})
			})
		}}))
	}
	o.read(m.f.client, req)
	o.aborted = o.err != nil && hung.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = append(m.seen, o)
	return o
}

// request 造一个；User-Agent 说它从哪个节点、哪个 app、要哪个模型，网关原样送上去。
func (m *mixer) request(ctx context.Context, k kind, o *outcome, rng *rand.Rand) *http.Request {
	team := []string{"team-a", "team-b"}[rng.IntN(2)]
	streams := rng.IntN(100) < k.stream
	n := m.n.Add(1)
	body := fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":"question number %d"}]}`, k.name, streams, n)
	path := k.path
	if path == "" {
		path = "/chat/completions"
	} else {
		body = fmt.Sprintf(`{"model":%q,"input":"passage number %d"}`, k.name, n)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.f.APIURL(o.node)+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+m.f.keys[team])
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", agent(o.node, team+"/"+k.name))
	return req
}

// read 送出并读完，判定是否完整。
func (o *outcome) read(client *http.Client, req *http.Request) {
	defer func() { o.ended = time.Now() }()
	resp, err := client.Do(req)
	if err != nil {
		o.err = err
		return
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	o.status, o.id, o.err = resp.StatusCode, resp.Header.Get("X-Request-Id"), err
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		o.whole = err == nil
		return
	}
	o.whole = bytes.HasSuffix(raw, []byte("data: [DONE]\n\n")) // 之后只差传输的收尾
	o.unfinished = err == nil && !o.whole
}

// draw 按份额挑一种。
func (m *mixer) draw(rng *rand.Rand) kind {
	all := kinds()
	sum := 0
	for _, k := range all {
		if k.name == m.only {
			return k
		}
		sum += k.share
	}
	x := rng.IntN(sum)
	for _, k := range all {
		if x -= k.share; x < 0 {
			return k
		}
	}
	return all[0]
}
