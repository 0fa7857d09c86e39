package proof

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

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
