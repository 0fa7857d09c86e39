package gateway

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/vega-gateway/vega/dataplane/internal/admit"
	"github.com/vega-gateway/vega/dataplane/internal/budget"
	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/dataplane/internal/proxy"
	"github.com/vega-gateway/vega/dataplane/internal/route"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/schedule"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// exchange 是一个请求在路上的全部；一个协程独用，走完回池。
type exchange struct {
	gw *Gateway
	w  http.ResponseWriter
	r  *http.Request
	ep *dialect.Endpoint
	rc http.ResponseController

	id      string
	arrived time.Time
	entered time.Time // 请求体读完：排队的先后与期限从此算起
	st      *state.State
	key     *state.Key
	rest    string // 客户端路径去掉 /v1 的部分，转义形式
	body    *buffer
	env     dialect.Envelope
	says    queueing // 客户端对排队说的话
	prompt  int64    // 预计的输入 token

	// 备着数用量的，见 count.go。
	input       *buffer // 流开着时留着的请求体；nil 即没有留
	inputTokens int64   // 已经数出的输入，0 即没有
	texts       *buffer // 从 JSON 应答里取出的文字

	// 去哪：要的模型、现在这个模型、它的目标、还没用的回退。
	asked      string // 客户端要的公开名
	model      *state.Model
	targets    []*state.Target
	fallbacks  []*state.Model
	deadline   time.Time
	lookingFor wish

	// 重试的账。
	tries    int             // 用掉的尝试，含没到线上的
	tried    []*state.Target // 这个模型里试过的
	again    bool            // “同一个再来一次”用过了
	dialing  time.Duration   // 连接来得太晚的那几次一共等了它多久
	limited  bool            // 已经见过一次 429
	after    step            // judge 定下的下一步
	final    error           // 没有下一步时的回答；nil 则交出上游的
	judgeFn  route.Judge     // x.verdict，先取好
	gateFn   func(*state.Target) ruleset.Verdict
	placeFn  func(schedule.Place) // x.announce，先取好
	hangUp   context.CancelFunc   // 不再等；只在要看排队消息时有
	barred   bool                 // 等的当中钥匙或模型没了：x.final 就是回答
	injected bool                 // 这次调用替客户端索取了用量

	// 这一次调用。
	permit  admit.Permit
	hold    budget.Hold // 这个请求的各次调用在预算里预留的
	server  *state.Server
	served  *state.Model // 最近一次调用时的 model；其后换到的回退可能一次也没有去成
	pass    route.Pass
	live    *proxy.Answer
	failure *proxy.Failure
	kept    kept        // 读完的错误应答
	call    call        // 记账用
	head    http.Header // 要交给客户端的上游应答头，写头时才过滤；nil 即应答是我们自己的
	flow    int64       // 流到此为止的输出
	flowed  int64       // 上一次报告许可时的输出
	drain   *drain      // 客户端走了也收下去的调用才有
	told    progress    // 上一次告诉 journal 的进度
	clock   time.Time   // 最近一次看钟
	result  route.Result
	reason  string

	// 结局。
	rec       *record
	book      book
	queued    time.Duration
	position  int64 // 第一次入队时排第几，0 即没有等过
	comment   [64]byte
	status    int // 写出的状态，0 即没有
	sent      int64
	committed bool
	early     bool // 头在排队时就写出了，上游的应答还一个字节也没有给
	gone      bool // 写给客户端失败
	abort     bool // 客户端的连接要异常结束
	canceled  bool // 客户端先走了
	closed    bool // 账已关
	refusal   *vegaerr.Error
	streaming bool

	// 账交出之后留给日志与指标的数。
	attemptsMade int
	outcome      usagev1.Outcome
	tokens       struct{ prompt, completion, cached, reasoning int64 }

	firstByte time.Duration // 到达至最后一次调用的首个正文字节，0 即没有
	upstream  time.Duration
	writeBy   time.Time // 已定的写期限，零值即没有
	span      trace.Span
	values    [4]string // 应答头的值，免得各分配一个切片
}

type exchangePool struct{ p sync.Pool }

func (g *Gateway) begin(w http.ResponseWriter, r *http.Request, ep *dialect.Endpoint) *exchange {
	x, ok := g.exchanges.p.Get().(*exchange)
	if !ok {
		x = &exchange{}
		x.judgeFn, x.placeFn = x.verdict, x.announce
	}
	x.gw, x.w, x.r, x.ep = g, w, r, ep
	x.rc = *http.NewResponseController(w)
	if r.ProtoMajor >= 2 {
		_ = x.rc.SetWriteDeadline(time.Time{}) // 服务器定的那个会重置还在等上游的流，见 disarmWrite
	}
	x.id, x.arrived = NewID(), g.now()
	x.startSpan()
	g.metrics.inFlight.Inc()
	x.values[0] = x.id
	w.Header()["X-Request-Id"] = x.values[0:1:1]
	return x
}

// end 总在最后：收回一切，记账，写日志；被截断或崩溃的应答在此异常结束。须直接 defer。
func (x *exchange) end() {
	cause := recover()
	defer x.recycle()                                  // 收尾自己也崩溃时，许可与缓冲照样要还
	if cause != nil && cause != http.ErrAbortHandler { //nolint:errorlint // recover 给出的就是这个值
		x.crashed(cause)
	}
	x.account() // 先关账再还许可：许可都回来的时候，账也都齐了
	x.leave()
	x.report()
	if x.abort || cause == http.ErrAbortHandler { //nolint:errorlint // 同上
		x.sever()
		panic(http.ErrAbortHandler)
	}
	x.armWrite(0) // 还在 net/http 缓冲里的由它在此之后送出
}

func (x *exchange) recycle() {
	g := x.gw
	x.leave()
	x.hold.Release()
	g.metrics.inFlight.Dec()
	x.dropBody()
	x.dropCounts()
	if x.rec != nil {
		g.records.put(x.rec)
	}
	x.kept.drop()
	clear(x.targets)
	clear(x.tried)
	*x = exchange{
		judgeFn: x.judgeFn, placeFn: x.placeFn, targets: x.targets[:0], tried: x.tried[:0],
	}
	g.exchanges.p.Put(x)
}

// leave 结束这一次调用：放掉上游连接，还许可与健康凭据。没有在调用时什么也不做。
func (x *exchange) leave() {
	if x.live != nil {
		_ = x.live.Close()
		x.live = nil
	}
	if x.drain != nil {
		x.drain.over()
		x.drain = nil
	}
	x.gw.router.Settle(&x.pass, x.result, x.reason)
	x.pass, x.result, x.reason = route.Pass{}, route.Neutral, ""
	x.permit.Release()
	x.failure = nil
}

func (x *exchange) dropBody() {
	if x.body != nil {
		x.body.Release()
		x.body = nil
	}
}

func (x *exchange) dropCounts() {
	if x.input != nil {
		x.input.Release()
		x.input = nil
	}
	if x.texts != nil {
		x.texts.Release()
		x.texts = nil
	}
}

// clientGone 说客户端已经走了。
func (x *exchange) clientGone() bool { return x.gone || x.r.Context().Err() != nil }

func (x *exchange) app() *state.App {
	if x.key == nil {
		return nil
	}
	return x.key.App
}
