package adminapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

const (
	basePath       = "/api/v1"
	minTokenLength = 32

	defaultMaxBodyBytes = 64 << 20
	defaultWaitTimeout  = 10 * time.Second
	defaultProbeTimeout = 10 * time.Second
	defaultChatTimeout  = 30 * time.Second
	defaultTimeLimit    = time.Minute
)

// Config 是管理 API 的设置。
type Config struct {
	// Token 是引导用的管理令牌，至少 32 个字符；必填。
	Token string
	// MaxBodyBytes 是请求体的上限，字节；0 为 64 MiB。
	MaxBodyBytes int64
	// WaitTimeout 是 wait=true 最多等多久；0 为 10 秒。
	WaitTimeout time.Duration
	// ProbeTimeout 是试连一个 server 的时限；0 为 10 秒。
	ProbeTimeout time.Duration
	// ChatProbeTimeout 是试一次对话的时限；0 为 30 秒。与 ProbeTimeout 之和须在 TimeLimit 之内。
	ChatProbeTimeout time.Duration
	// TimeLimit 是一个请求从头到尾的上限：数据库没有回音时，不能让请求与连接一直占着。0 为 1 分钟。
	TimeLimit time.Duration
	// Proxies 是可信的代理；零值谁也不信。
	Proxies identity.Proxies
	// InsecureHTTP 许会话以明文走出本机。
	InsecureHTTP bool
	// ConsoleURL 是浏览器地址栏里的根，如 https://vega.example.com；空即请求里的 Host。
	ConsoleURL string
	// Events 是事件流的节拍。
	Events EventsConfig
	// About 是 GET /about 说的。
	About About
}

// Deps 是管理 API 的依赖；OIDC、Metrics 与 Console 之外都必填。
type Deps struct {
	Store  Store
	Fleet  Fleet
	Usage  Usage
	Queues Queues
	// Budgets 算出预算花到了哪里。
	Budgets Budgets
	// Settings 是整套安装的设置。
	Settings Settings
	// Requests 是逐条的请求。
	Requests Requests
	// Reconcile 对供应商的账单。
	Reconcile Reconcile
	// Mint 造密钥；MAC 必填。
	Mint catalog.Mint
	Log  *zap.Logger
	// Metrics 为 nil 则不计数。
	Metrics prometheus.Registerer
	// Live 给出总览与事件。
	Live Live
	// Identity 认人；必填。
	Identity *identity.Service
	// OIDC 为 nil 即没有提供方。
	OIDC OIDC
	// Console 接住 /api 与 /healthz 之外的一切；nil 则那些路径都是 404。
	Console http.Handler
}

// Fleet 是管理 API 眼里的机队，由 push.Fleet 实现。
type Fleet interface {
	Nodes(ctx context.Context) ([]push.Node, error)
	Forget(ctx context.Context, id string) error
	Drain(ctx context.Context, id string) error
	WaitApplied(ctx context.Context, revision uint64, timeout time.Duration) (push.Outcome, error)
}

// Usage 回答用量查询，由 usage.Reader 实现。
type Usage interface {
	Query(ctx context.Context, q usage.Query) (usage.Result, error)
}

// Queues 给出当任的授予者眼里的队列，由 admission.Host 实现；没有当任者为 vegaerr.Unavailable。
type Queues interface {
	Queues(ctx context.Context) (admission.Queues, error)
}

// Budgets 当场算出 plans 里各预算的处境，由 budget.Book 实现。
type Budgets interface {
	Statuses(ctx context.Context, plans []budget.Plan) ([]budget.Status, error)
}

type api struct {
	cfg   Config
	deps  Deps
	token tokenHash
	cross *http.CrossOriginProtection
}

var _ openapi.ServerInterface = (*api)(nil)

// New 给出控制面公开监听的全部：/api/v1、/healthz 与控制台。返回的 Handler 自己分路，
// 不要放进 http.ServeMux：它会改写路径，使含连续斜杠的名字指不到。
func New(cfg Config, deps Deps) (http.Handler, error) {
	if len(cfg.Token) < minTokenLength {
		return nil, errors.New("admin token must have at least 32 characters")
	}
	if deps.Store == nil || deps.Fleet == nil || deps.Usage == nil || deps.Queues == nil || deps.Settings == nil || deps.Requests == nil || deps.Reconcile == nil || deps.Budgets == nil || deps.Live == nil || deps.Mint.MAC == nil || deps.Log == nil {
		return nil, errors.New("adminapi: a dependency is missing")
	}
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = defaultMaxBodyBytes
	}
	if cfg.WaitTimeout == 0 {
		cfg.WaitTimeout = defaultWaitTimeout
	}
	if cfg.ProbeTimeout == 0 {
		cfg.ProbeTimeout = defaultProbeTimeout
	}
	if cfg.ChatProbeTimeout == 0 {
		cfg.ChatProbeTimeout = defaultChatTimeout
	}
	if cfg.TimeLimit == 0 {
		cfg.TimeLimit = defaultTimeLimit
	}
	cfg.Events = cfg.Events.orDefault()
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, err
	}
	if deps.Identity == nil {
		return nil, errors.New("adminapi: nobody to ask who is who")
	}
	a := &api{cfg: cfg, deps: deps, token: hashToken(cfg.Token), cross: http.NewCrossOriginProtection()}
	if cfg.ConsoleURL != "" {
		if err := a.cross.AddTrustedOrigin(cfg.ConsoleURL); err != nil {
			return nil, fmt.Errorf("console URL: %w", err)
		}
	}
	e, err := a.echo(m)
	if err != nil {
		return nil, err
	}
	return &root{api: e, console: deps.Console}, nil
}

func (a *api) echo(m *metrics) (*echo.Echo, error) {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = a.handleError
	e.Use(identify, a.limitTime, a.look, m.observe, recoverPanic, a.conceal)
	return e, a.register(e)
}
