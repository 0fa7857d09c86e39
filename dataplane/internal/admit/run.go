package admit

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/dataplane/internal/backoff"
	"github.com/vega-gateway/vega/proto/schedule"
)

const (
	// maxWait 是重连之前至多等多久，别人要我们等得更久也不听。
	maxWait = 5 * time.Second
	// maxHops 是连着跟几次指路而没有找到当任者，就该等一等。
	maxHops = 3
)

// Run 维持到授予者的流、存下安全份额，直到 ctx 结束；那时返回 nil。断线从不使它返回。
func (g *Gate) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { g.keep(ctx) })
	if g.deps.Dial == nil || len(g.cfg.Addresses) == 0 {
		<-ctx.Done()
		return nil
	}
	s := g.search()
	for ctx.Err() == nil && !g.departing() {
		addr := s.next()
		err := g.session(ctx, addr)
		if ctx.Err() != nil {
			break
		}
		wait := s.after(g.endOf(addr, err))
		s.report(g.log, addr, err, wait)
		sleep(ctx, wait)
	}
	<-ctx.Done()
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (g *Gate) departing() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.link.parting
}

// Depart 说这个节点要走了，手上什么也没有；等到授予者收下，至多等到 ctx 结束。此后不再有新的流。
// 还有没还的许可（含善后的）就等它们；等不到即不说，授予者照失联的节点隔离它们。盘上的份额先抹去才道别，抹不去也不说：份额替它留着。
func (g *Gate) Depart(ctx context.Context) {
	for !g.empty() {
		if sleep(ctx, 5*time.Millisecond); ctx.Err() != nil {
			return
		}
	}
	ended := g.sayBye()
	if ended == nil {
		return
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// empty 说手上没有在用的许可了。
func (g *Gate) empty() bool {
	for _, p := range g.state().Pools {
		if p.Busy != 0 || p.Aborting != 0 {
			return false
		}
	}
	return true
}

// sayBye 开始道别；没有流时返回 nil。
func (g *Gate) sayBye() <-chan struct{} {
	g.lock()
	defer g.mu.Unlock()
	g.link.parting = true
	if g.link.cut == nil {
		return nil
	}
	if g.link.ended == nil {
		g.link.ended = make(chan struct{})
	}
	g.step(schedule.Parting{})
	g.link.signal()
	return g.link.ended
}

// ending 是一条流怎么断的。
type ending struct {
	welcomed   bool // 曾经找到了当任者
	redirected bool
	leader     string
	wait       time.Duration
	unserved   bool // 对面不懂准入，或不认我们：急也没有用
}

func (g *Gate) endOf(addr string, err error) ending {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := &g.link
	e := ending{welcomed: l.welcomed, redirected: err == errRedirect, leader: l.leader, wait: l.wait, unserved: unserved(err)} //nolint:errorlint // 就是这个值
	if e.leader != "" {
		e.leader = reachable(e.leader, addr)
	}
	l.welcomed, l.leader, l.wait = false, "", 0
	return e
}

// reachable 给没有写主机的地址（监听在一切地址上的）补上指路的那一个的主机。
func reachable(leader, via string) string {
	host, port, err := net.SplitHostPort(leader)
	if ip := net.ParseIP(host); err != nil || host != "" && (ip == nil || !ip.IsUnspecified()) {
		return leader
	}
	host, _, err = net.SplitHostPort(via)
	if err != nil {
		return leader
	}
	return net.JoinHostPort(host, port)
}

// search 找当任者：从随便哪个地址开始，跟着指路走。
type search struct {
	addrs []string
	at    int
	then  string // 下一个该去的；空即轮到谁是谁
	hops  int    // 连着跟了几次指路
	quick backoff.Backoff
	slow  backoff.Backoff
	said  string // 最近记过的毛病，同样的不再记
}

func (g *Gate) search() *search {
	s := &search{
		addrs: slices.Clone(g.cfg.Addresses),
		quick: backoff.Backoff{Min: 50 * time.Millisecond, Max: time.Second, Random: g.deps.Random},
		slow:  backoff.Backoff{Min: time.Second, Max: maxWait, Random: g.deps.Random},
	}
	for i := len(s.addrs) - 1; i > 0; i-- { // 洗牌：各节点不都先去找同一个
		j := min(int(g.deps.Random()*float64(i+1)), i)
		s.addrs[i], s.addrs[j] = s.addrs[j], s.addrs[i]
	}
	return s
}

func (s *search) next() string {
	if s.then != "" {
		return s.then
	}
	s.at++
	return s.addrs[(s.at-1)%len(s.addrs)]
}

// after 定下去哪里，与去之前等多久。
func (s *search) after(e ending) time.Duration {
	s.then = ""
	if e.welcomed {
		s.hops = 0
		s.quick.Reset()
		s.slow.Reset()
	}
	switch {
	case e.redirected && e.leader != "":
		s.then = e.leader
		s.hops++
		if s.hops <= maxHops {
			return min(e.wait, maxWait)
		}
	case e.redirected && e.wait > 0:
		s.hops = 0
		return min(e.wait, maxWait)
	case e.unserved:
		return s.slow.Next()
	}
	return s.quick.Next()
}

// report 记下一次断开；同样的毛病只记第一次。
func (s *search) report(log *zap.Logger, addr string, err error, wait time.Duration) {
	text := err.Error()
	level := log.Debug
	if !quiet(err) && text != s.said {
		s.said = text
		level = log.Warn
	}
	level("admission stream ended, reconnecting", zap.String("addr", addr), zap.Error(err), zap.Duration("wait", wait))
}
