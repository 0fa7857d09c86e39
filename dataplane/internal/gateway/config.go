package gateway

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/dataplane/internal/admit"
	"github.com/vega-gateway/vega/dataplane/internal/budget"
	"github.com/vega-gateway/vega/dataplane/internal/journal"
	"github.com/vega-gateway/vega/dataplane/internal/meter"
	"github.com/vega-gateway/vega/dataplane/internal/proxy"
	"github.com/vega-gateway/vega/dataplane/internal/route"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/dataplane/internal/tokens"
)

// Config 的零值可用。
type Config struct {
	MaxBodyBytes   int64         // 请求体上限，0 即 32 MiB
	MaxAnswerBytes int           // 要先检查再交出的应答上限，0 即 64 MiB
	BodyStall      time.Duration // 客户端送请求体可以停多久，0 即 30 s
	WriteStall     time.Duration // 客户端可以多久不收，0 即 60 s
	RetryDelay     time.Duration // 对同一目标再来一次之前等多久，0 即 200 ms
}

func (c Config) withDefaults() Config {
	if c.MaxBodyBytes == 0 {
		c.MaxBodyBytes = 32 << 20
	}
	if c.MaxAnswerBytes == 0 {
		c.MaxAnswerBytes = 64 << 20
	}
	if c.BodyStall == 0 {
		c.BodyStall = 30 * time.Second
	}
	if c.WriteStall == 0 {
		c.WriteStall = time.Minute
	}
	if c.RetryDelay == 0 {
		c.RetryDelay = 200 * time.Millisecond
	}
	return c
}

// Journal 收下用量记录；*journal.Journal 即是。
type Journal interface {
	Open(journal.Opening) journal.Ticket
	Refuse(app, model, code string)
}

// States 给出在用的配置；还没有时是 nil。
type States interface{ Load() *state.State }

// Deps 除注明者外都要给。
type Deps struct {
	State      States
	Gate       *admit.Gate
	Router     *route.Router
	Upstreams  *proxy.Pool
	Journal    Journal
	Budgets    *budget.Guard         // nil 即没有预算
	Log        *zap.Logger           // nil 即不记
	Registerer prometheus.Registerer // nil 即不登记指标
	Tracer     trace.Tracer          // nil 即不追踪，没有代价
	Now        func() time.Time      // nil 即 time.Now
}

// Gateway 是请求的路；用 New 造。
type Gateway struct {
	cfg       Config
	state     States
	gate      *admit.Gate
	router    *route.Router
	upstreams *proxy.Pool
	journal   Journal
	budgets   *budget.Guard
	log       *zap.Logger
	metrics   *metrics
	tracer    trace.Tracer
	now       func() time.Time

	exchanges exchangePool
	records   recordPool
	bodies    bufferPool
	chunks    chunkPool
	streams   meter.Pool
	refusers  targetSet  // 不认识 stream_options 的
	silent    targetSet  // 要了用量也不给的
	inputs    bufferPool // 只放 smallInput 以内的
	drains    drains
	tokens    *tokens.Counter
	outputs   *outputs
	lines     sync.Pool // *[]zap.Field：写日志那一刻才要，不跟着开着的流
}

// Reconfigured 在每次换上新配置之后调用（state.Holder.After）：放掉旧版用过的连接与病历，叫醒在等的请求。
func (g *Gateway) Reconfigured(s *state.State) {
	g.upstreams.Retain(s.Servers())
	g.router.Retain(s.Servers())
	g.outputs.retain(s)
	g.budgets.Reconfigured(s)
	g.gate.Reconfigure(s)
}

// New 造一个 Gateway；缺了必需的依赖或指标重名时返回错误。
func New(cfg Config, deps Deps) (*Gateway, error) {
	if deps.State == nil || deps.Gate == nil || deps.Router == nil || deps.Upstreams == nil || deps.Journal == nil {
		return nil, errors.New("gateway: State, Gate, Router, Upstreams and Journal must be given")
	}
	if deps.Log == nil {
		deps.Log = zap.NewNop()
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	m, err := newMetrics(deps.Registerer, deps.Gate)
	if err != nil {
		return nil, err
	}
	return &Gateway{
		cfg: cfg.withDefaults(), state: deps.State, gate: deps.Gate, router: deps.Router, upstreams: deps.Upstreams,
		journal: deps.Journal, budgets: deps.Budgets, log: deps.Log, metrics: m, tracer: deps.Tracer, now: deps.Now,
		outputs: newOutputs(), tokens: tokens.New(),
	}, nil
}
