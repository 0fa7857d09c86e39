package gateway

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/dataplane/internal/proxy"
	"github.com/vega-gateway/vega/dataplane/internal/state"
)

// forward 向许可的目标发出一次调用，等到应答的头或失败。
func (x *exchange) forward() {
	t := x.permit.Target
	x.server, x.served = t.Server, x.model
	x.tries++
	x.flow, x.flowed, x.told, x.inputTokens = 0, 0, progress{}, 0
	x.tried = append(x.tried, t)
	x.injected = x.wantsUsage(t)
	body := x.bodyFor(t)
	number := x.attempts() + 1
	x.call.begin(x.gw.now(), number)

	header := make(http.Header, len(x.r.Header))
	dialect.FilterRequestHeaders(header, x.r.Header)
	x.propagate(header)
	c := proxy.Call{
		Server: t.Server, Method: x.r.Method, Path: x.rest, RawQuery: x.r.URL.RawQuery, Header: header,
		RequestID: x.id + "-" + strconv.Itoa(number), StartBy: x.permit.StartBy(),
	}
	if body != nil {
		c.Body = body
	}
	if !broken(bugOpenLate) {
		x.bookCall(t)
	}
	x.live, x.failure = x.gw.upstreams.Do(x.upstreamContext(t.Server), &c)
	if broken(bugOpenLate) {
		x.bookCall(t)
	}
	if body != nil {
		body.Release()
	}
	if x.live != nil || x.failure.Sent {
		x.openAttempt(t)
	} else {
		x.withdraw()
	}
}

// upstreamContext 随客户端结束而结束；drain 的 server 则收到结束或它的限制为止。
func (x *exchange) upstreamContext(s *state.Server) context.Context {
	if s.Drain {
		return x.detach(s)
	}
	return x.r.Context()
}

// bodyFor 给出送往目标的体，借出一次；没有体则 nil。什么都不必改时就是客户端的那一份。
func (x *exchange) bodyFor(t *state.Target) *buffer {
	if len(x.body.Bytes()) == 0 {
		return nil
	}
	if !x.injected && (t.UpstreamModel == "" || !x.env.HasModel() || string(x.env.Model) == t.UpstreamModel) {
		x.body.Retain()
		return x.body
	}
	out := x.gw.bodies.get()
	out.b = dialect.Rewrite(out.b, x.body.Bytes(), &x.env, t.UpstreamModel, x.injected)
	return out
}

// wantsUsage 说要不要替客户端向流索取用量。
func (x *exchange) wantsUsage(t *state.Target) bool {
	if !x.ep.InjectUsage || !x.env.Stream || x.env.WantsUsage {
		return false
	}
	switch t.Server.StreamUsage {
	case state.StreamUsageNever:
		return false
	case state.StreamUsageAlways:
		return true
	}
	return !x.gw.refusers.has(t)
}

// targetSet 记着一些目标的毛病；零值可用。数目受配置所限，进程重启即忘。
type targetSet struct {
	mu   sync.RWMutex
	seen map[targetKey]bool
}

type targetKey struct {
	identity [sha256.Size]byte
	model    string
}

func keyOf(t *state.Target) targetKey { return targetKey{t.Server.Identity, t.UpstreamModel} }

func (u *targetSet) has(t *state.Target) bool {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return len(u.seen) > 0 && u.seen[keyOf(t)]
}

func (u *targetSet) add(t *state.Target) {
	if u.has(t) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.seen == nil {
		u.seen = map[targetKey]bool{}
	}
	u.seen[keyOf(t)] = true
}

func (u *targetSet) remove(t *state.Target) {
	if !u.has(t) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.seen, keyOf(t))
}

// sleep 等 d；客户端先走了返回 false。
func (x *exchange) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.r.Context().Done():
		return false
	}
}
