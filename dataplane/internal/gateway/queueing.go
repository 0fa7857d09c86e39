package gateway

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/schedule"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// 客户端可以对排队说的几句话；键是规范化的写法，好直接查表。
const (
	headerClass        = "X-Vega-Class"
	headerQueueTimeout = "X-Vega-Queue-Timeout-Ms"
	headerQueueEvents  = "X-Vega-Queue-Events"
)

// longestPatience 是 x-vega-queue-timeout-ms 有意义的上限：比配置里任何 server 肯让人等的都长，再大的数等于没说。
const longestPatience = 1000 * time.Hour

// queueing 是客户端对排队说的话。
type queueing struct {
	class   schedule.Class // 0 即没有说
	hurried bool           // 说了至多等多久
	timeout time.Duration
	events  bool // 要在等的时候看见排到第几
}

// heedQueueing 读客户端对排队说的话：类别与时长写坏了是 400，免得人以为它生效了。
func (x *exchange) heedQueueing() error {
	h := x.r.Header
	if v := h[headerClass]; len(v) > 0 {
		if x.says.class = classOf(v[0]); x.says.class == 0 || len(v) > 1 {
			return vegaerr.New(vegaerr.Invalid, "invalid_request", "x-vega-class must be one of interactive, standard, batch").WithParam("x-vega-class")
		}
	}
	if v := h[headerQueueTimeout]; len(v) > 0 {
		d, ok := parsePatience(v[0])
		if !ok || len(v) > 1 {
			return vegaerr.New(vegaerr.Invalid, "invalid_request",
				"x-vega-queue-timeout-ms must be a non-negative integer; 0 means do not wait").WithParam("x-vega-queue-timeout-ms")
		}
		x.says.hurried, x.says.timeout = true, d
	}
	// 只有网关认得其事件的流可以先开：别的端点未必答成流。
	x.says.events = x.env.Stream && x.ep.Stream != dialect.Untyped && len(h[headerQueueEvents]) == 1 && h[headerQueueEvents][0] == "1"
	return nil
}

func parsePatience(s string) (time.Duration, bool) {
	ms, err := strconv.ParseUint(s, 10, 63)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	if ms > uint64(longestPatience/time.Millisecond) {
		return longestPatience, true
	}
	return time.Duration(ms) * time.Millisecond, true
}

// classOf 由名字得类别；不认得的是 0。
func classOf(name string) schedule.Class {
	switch name {
	case state.ClassInteractive:
		return schedule.Interactive
	case state.ClassStandard:
		return schedule.Standard
	case state.ClassBatch:
		return schedule.Batch
	}
	return 0
}

// class 是这个请求的类别：app 的那个，客户端只能往低里说。
func (x *exchange) class() schedule.Class {
	c := classOf(x.key.App.Class)
	if x.says.class != 0 {
		c = min(c, x.says.class)
	}
	return c
}

// waitUntil 是这个请求最多等到何时，零值即不等：候选的 server 里肯让人等最久的那个说了算，客户端只能往短里说。
// 从入队（体已读完）算起，重试与回退不延长它。
func (x *exchange) waitUntil() time.Time {
	longest := longestQueue(x.targets)
	if len(x.targets) == 0 { // 只有回退的模型：等的是它们的 server
		for _, m := range x.fallbacks {
			for _, tier := range m.Tiers {
				longest = max(longest, longestQueue(tier))
			}
		}
	}
	if x.says.hurried {
		longest = min(longest, x.says.timeout)
	}
	if longest <= 0 {
		return time.Time{}
	}
	return x.entered.Add(longest)
}

func longestQueue(targets []*state.Target) (longest time.Duration) {
	for _, t := range targets {
		longest = max(longest, t.Server.QueueTimeout)
	}
	return longest
}

// setQueueHeaders 说等了多久，等过的还说入队时排第几。
func (x *exchange) setQueueHeaders(h http.Header) {
	x.values[2] = strconv.FormatInt(x.queued.Milliseconds(), 10)
	h["X-Vega-Queue-Wait-Ms"] = x.values[2:3:3]
	if x.queued > 0 { // 问了授予者一个来回就得到的，没有等
		x.setPosition(h)
	}
}

func (x *exchange) setPosition(h http.Header) {
	if x.position > 0 {
		h["X-Vega-Queue-Position"] = []string{strconv.FormatInt(x.position, 10)}
	}
}
