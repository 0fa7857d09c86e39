package admit

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/schedule"
)

// Config 的零值可用：独自工作，没有控制面。
type Config struct {
	Node      string   // 节点名
	Epoch     uint64   // 这一次运行的编号，同一节点名的后一次更大
	Instance  string   // 独占着的数据目录的编号；没有独占目录的每次运行给一个不重的
	Version   string   // 程序版本，供展示
	Addresses []string // 控制面的地址，先连哪一个无所谓；空即没有控制面

	EventEvery      time.Duration // Ask.Waiting 的间隔；0 即 5 s
	MaxWaiting      int64         // 本节点至多几个在等；0 即 16,384。一个 app 至多四分之一，但不少于 64
	MaxWaitingBytes int64         // 它们占着的请求体至多多少；0 即 256 MiB。一个 app 至多四分之一
}

func (c Config) withDefaults() Config {
	if c.EventEvery <= 0 {
		c.EventEvery = 5 * time.Second
	}
	if c.MaxWaiting <= 0 {
		c.MaxWaiting = 16_384
	}
	if c.MaxWaitingBytes <= 0 {
		c.MaxWaitingBytes = 256 << 20
	}
	return c
}

// Conn 是到一个控制面副本的连接；*grpc.ClientConn 即是。
type Conn interface {
	grpc.ClientConnInterface
	Close() error
}

// Deps 的零值可用。
type Deps struct {
	// Dial 造到一个地址的连接，可以还没有真的连上；nil 即没有控制面。
	Dial func(addr string) (Conn, error)
	// Stored 是盘上的安全份额；nil 即从没有过。
	Stored *admissionv1.Share
	// Save 把安全份额写到盘上；nil 即只留在内存里。
	Save       func(*admissionv1.Share) error
	Log        *zap.Logger           // nil 即不记
	Registerer prometheus.Registerer // nil 即不登记指标
	Random     func() float64        // [0,1) 的均匀数，供抖动；nil 即 math/rand/v2
}

// Gate 是本节点的准入：schedule.Holder 的宿主，给它钟、锁、定时器与到授予者的流。
type Gate struct {
	cfg     Config
	deps    Deps
	log     *zap.Logger
	origin  time.Time
	metrics *metrics
	judge   func(*state.Target) ruleset.Verdict // g.verdict，先取好免得每次分配
	pool    sync.Pool                           // *waiter

	issued, released atomic.Int64

	mu     sync.Mutex
	holder *schedule.Holder
	now    schedule.Time     // 拿到锁的那一刻
	asking *schedule.Request // judge 正在替谁问
	full   int64             // 这一次问到过的、满了的最好一层
	timer  *time.Timer       // 唯一的定时器，在 holder.Next 走表
	armed  schedule.Time     // timer 定在何时，0 即没有定
	looker *time.Timer       // 有人在等时，让他们轮着看一眼候选

	st      *state.State
	known   map[string]struct{} // 已经告诉 holder 的 app
	servers map[string]*load
	paused  map[targetKey]time.Time // 本节点要它们停到何时
	apps    map[string]*crowd
	standing
	lastID uint64
	newest *Permit // 发出而没有还的，由此往前

	link  link
	saves chan *admissionv1.Share
}

// New 造一个空的 Gate；指标重名时返回错误。
func New(cfg Config, deps Deps) (*Gate, error) {
	if deps.Log == nil {
		deps.Log = zap.NewNop()
	}
	if deps.Random == nil {
		deps.Random = rand.Float64
	}
	g := &Gate{
		cfg: cfg.withDefaults(), deps: deps, log: deps.Log,
		origin:  time.Now().Add(-time.Second), // 此后的任何一刻都大于 0
		known:   map[string]struct{}{},
		servers: map[string]*load{}, apps: map[string]*crowd{}, paused: map[targetKey]time.Time{},
		link:  link{wake: make(chan struct{}, 1)},
		saves: make(chan *admissionv1.Share, 1),
	}
	g.holder = schedule.NewHolder(schedule.HolderConfig{Node: cfg.Node, Epoch: cfg.Epoch, Instance: cfg.Instance, Version: cfg.Version, Now: g.clock(), Stored: deps.Stored})
	g.judge = g.verdict
	g.timer = stopped(g.tick)
	g.looker = stopped(g.look)
	var err error
	g.metrics, err = newMetrics(deps.Registerer, g)
	return g, err
}

// Acquire 等到候选之一可以开始，把许可写进 p（须是零值或已释放）。
//
// 错误：queue_full（到达时就知道等不到）、queue_timeout（等到了期限），挡住它的是 app 自己的限额时两者都是 rate_limit_exceeded；
// no_server_available（没有值得等的，或控制面不在而本节点没有份额）；canceled（ctx 结束），以及 Renew 的错误。
func (g *Gate) Acquire(ctx context.Context, ask Ask, p *Permit) error {
	*p = Permit{}
	p.permit.Request = ask.request()
	if g.start(&ask, p) {
		return nil
	}
	err := g.queue(ctx, &ask, p)
	g.metrics.refused(err)
	return err
}

// start 在此刻就能开始时发许可。
func (g *Gate) start(ask *Ask, p *Permit) bool {
	g.lock()
	defer g.mu.Unlock()
	g.meet(ask.App)
	g.asking, g.full = &p.permit.Request, math.MaxInt64
	t := ask.Candidates.Choose(g.judge)
	g.asking = nil
	if t == nil {
		return false
	}
	p.Target = t
	p.permit.Server, p.permit.Upstream, p.permit.Began = t.Server.Name, t.UpstreamModel, g.now
	g.open(p, g.load(t.Server.Name), g.overdueAt(t.Server.Total))
	g.step(schedule.Started{Permit: &p.permit})
	return true
}

// verdict 说准入这边此刻准不准一个目标；须持锁。候选按层由上到下来问：连着授予者时，上面一层只是在本地满了，
// 下面的就不准，要先问授予者。
func (g *Gate) verdict(t *state.Target) ruleset.Verdict {
	v := g.holder.Judge(g.now, t.Server.Name, t.UpstreamModel, g.asking)
	switch {
	case v == ruleset.Full:
		g.full = min(g.full, t.Priority)
	case v == ruleset.Startable && t.Priority > g.full && g.holder.AsksFirst():
		return ruleset.Full
	}
	return v
}
