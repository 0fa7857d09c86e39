package gateway

import (
	"net/http"
	"strings"

	"github.com/vega-gateway/vega/dataplane/internal/auth"
	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

// Serve 走完一个请求的路。ep 是路由认出的端点；r.Body 由本函数读完。
// 应答截断时以 panic(http.ErrAbortHandler) 结束，让客户端的连接异常断开。
func (g *Gateway) Serve(w http.ResponseWriter, r *http.Request, ep *dialect.Endpoint) {
	x := g.begin(w, r, ep)
	defer x.end()
	x.finish(x.road())
}

// road 是请求的路：谁 → 什么 → 去哪 → 等到能去 → 去 → 判 → 答。
func (x *exchange) road() error {
	if err := x.identify(); err != nil {
		return err
	}
	if x.ep.Local {
		return x.listModels()
	}
	if err := x.readBody(); err != nil {
		return err
	}
	if err := x.inspect(); err != nil {
		return err
	}
	if err := x.resolve(); err != nil {
		return err
	}
	if err := x.gw.budgets.Check(x.key.App); err != nil {
		return err
	}
	return x.goUpstream()
}

// goUpstream 一次次去上游，直到有一个应答该交给客户端，或者没有下一次。
func (x *exchange) goUpstream() error {
	if err := x.enter(); err != nil {
		return err
	}
	for {
		if err := x.holdBudget(); err != nil {
			return err
		}
		x.forward()
		if !x.judge() || !x.next() {
			return x.answer()
		}
	}
}

// identify 认出钥匙，用此刻的配置。
func (x *exchange) identify() (err error) {
	if x.st = x.gw.state.Load(); x.st == nil {
		return errNotReady()
	}
	x.key, err = auth.Identify(x.st, x.r.Header, x.arrived)
	return err
}

// inspect 扫一遍请求体，取出网关要看的键，以及客户端对排队说的话。
func (x *exchange) inspect() (err error) {
	if x.rest, err = x.remainder(); err != nil {
		return err
	}
	if err = x.ep.Inspect(x.r.Method, x.r.Header.Get("Content-Type"), x.body.Bytes(), &x.env); err != nil {
		return err
	}
	x.entered = x.gw.now()
	if x.env.Format == dialect.JSON {
		x.prompt = promptTokens(x.body.Bytes())
	}
	return x.heedQueueing()
}

// remainder 是客户端路径去掉 /v1 的部分；写死的端点路由已经比对过，只有通配的要查。
func (x *exchange) remainder() (string, error) {
	if fixed, ok := strings.CutPrefix(x.ep.Path, "/v1"); ok && !strings.HasSuffix(fixed, "*") {
		return fixed, nil
	}
	return dialect.Remainder(x.r.URL.EscapedPath())
}
