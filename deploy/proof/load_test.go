package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// shot 是一个客户端请求与它的下场。
type shot struct {
	node        int
	app         string
	sent, ended time.Time
	status      int    // 0：没有回答
	code        string // 错误体里的 code
	id          string // x-request-id，与上游的账相认
	cut         bool   // 我们自己收场时挂断的，不算错误
	err         error
}

func (s *shot) took() time.Duration { return s.ended.Sub(s.sent) }

// aim 说一个请求去哪里、要什么。
type aim struct {
	node       int
	app, model string
	maxTokens  int
	stream     bool
}

// shoot 发一个请求并读完应答。
func (f *fleet) shoot(ctx context.Context, a aim) (s shot) {
	s = shot{node: a.node, app: a.app}
	body := fmt.Sprintf(`{"model":%q,"stream":%t,"max_tokens":%d,"messages":[{"role":"user","content":"how long is the queue today?"}]}`,
		a.model, a.stream, max(a.maxTokens, 16))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.APIURL(a.node)+"/chat/completions", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.keys[a.app])
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", agent(a.node, a.app))
	s.sent = time.Now()
	defer func() {
		s.ended = time.Now()
		s.cut = s.err != nil && ctx.Err() != nil
	}()
	resp, err := f.client.Do(req)
	if err != nil {
		s.err = err
		return s
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	s.status, s.id, s.err = resp.StatusCode, resp.Header.Get("X-Request-Id"), err
	if s.status != http.StatusOK {
		var e struct{ Error struct{ Code string } }
		_ = json.Unmarshal(raw, &e) // 不是 JSON 时 code 为空，也就不会与哪个错误码相等
		s.code = e.Error.Code
	}
	return s
}

// agent 写进 User-Agent，网关原样送上去：上游的账由此知道一行是哪个节点、哪个 app 的。
func agent(node int, app string) string { return fmt.Sprintf("node-%d/%s", node, app) }

// shots 收集并发的请求。
type shots struct {
	mu   sync.Mutex
	list []shot
}

func (c *shots) add(s shot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, s)
}

// open 以泊松到达发请求，每秒 rate 个，历时 d；之后还没有回答的一律挂断。draw 决定每一个去哪里。
func (f *fleet) open(ctx context.Context, rate float64, d time.Duration, draw func(rng *rand.Rand) aim) []shot {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var out shots
	var wg sync.WaitGroup
	rng := rand.New(rand.NewPCG(3, uint64(rate)))
	end := time.Now().Add(d)
	for at := time.Now(); ; {
		at = at.Add(time.Duration(rng.ExpFloat64() / rate * float64(time.Second)))
		if at.After(end) {
			break
		}
		time.Sleep(time.Until(at))
		a := draw(rng)
		wg.Go(func() { out.add(f.shoot(ctx, a)) })
	}
	time.Sleep(time.Until(end))
	cancel()
	wg.Wait()
	return out.list
}

// burst 同时发 n 个，不等它们；done 等到全部有下场。
func (f *fleet) burst(ctx context.Context, n int, draw func(i int) aim) (out *shots, done func()) {
	out = &shots{}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { out.add(f.shoot(ctx, draw(i))) })
	}
	return out, wg.Wait
}

// crowd 是一群闭环的客户端：各自一个接一个地发，节点不在时稍等再来，直到 stop。
type crowd struct {
	shots
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// crowd 起 n 个；第 i 个总是发 draw(i)。
func (f *fleet) crowd(n int, draw func(i int) aim) *crowd {
	ctx, cancel := context.WithCancel(f.t.Context())
	c := &crowd{cancel: cancel}
	f.t.Cleanup(c.stop)
	for i := range n {
		c.wg.Go(func() {
			for ctx.Err() == nil {
				s := f.shoot(ctx, draw(i))
				c.add(s)
				if s.status != http.StatusOK {
					pause(ctx, time.Duration(50+rand.IntN(50))*time.Millisecond)
				}
			}
		})
	}
	return c
}

// stop 挂断所有还没有回答的并等每个客户端结束；可重复调用。
func (c *crowd) stop() {
	c.cancel()
	c.wg.Wait()
}

// since 是 at 之后才有下场的那些。
func (c *crowd) since(at time.Time) []shot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.list), func(s shot) bool { return s.ended.Before(at) })
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// tally 把一批请求分成几类。
type tally struct {
	ok, refused, expired, broken, cut, other int
	sample                                   string // 一个意外的下场
}

// count 里 broken 是连接层面的失败：节点不在时免不了；other 是谁也没有料到的。
func count(list []shot) (t tally) {
	for i := range list {
		s := &list[i]
		switch {
		case s.cut:
			t.cut++
		case s.err != nil:
			t.broken++
		case s.status == http.StatusOK:
			t.ok++
		case s.code == "queue_full":
			t.refused++
		case s.code == "queue_timeout":
			t.expired++
		default:
			t.other++
			t.sample = fmt.Sprintf("%d %s", s.status, s.code)
		}
		if s.err != nil && !s.cut && !errors.Is(s.err, context.Canceled) && t.sample == "" {
			t.sample = s.err.Error()
		}
	}
	return t
}

// spread 是节点之间的倾斜：第 0 个的份量是 skew，其余各 1。
func spread(rng *rand.Rand, nodes, skew int) int {
	return max(0, rng.IntN(skew+nodes-1)-skew+1)
}

// weighted 按份量挑一个下标。
func weighted(rng *rand.Rand, weights []float64) int {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	x := rng.Float64() * sum
	for i, w := range weights {
		if x -= w; x < 0 {
			return i
		}
	}
	return len(weights) - 1
}
