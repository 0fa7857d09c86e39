package budget

import (
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// reasonReserved 与限额的拒绝同一个码：余下的会还回来，客户端该再来。
const reasonReserved = "rate_limit_exceeded"

const (
	// retryUnknown 是不知道花了多少时请客户端隔多久再来：控制面连着，下一秒就知道了。
	retryUnknown = time.Second
	// retryReserved 是余下的被在途的请求预留着时隔多久再来。
	retryReserved = time.Second
	// retryShare 是控制面不在、本节点的一份用完时隔多久再来；它何时回来谁也不知道。
	retryShare = 10 * time.Second
	// claimParts 是陈旧时把一份分几次预支：每次写一次盘。
	claimParts = 16
)

// room 是一项（钱或 token）此刻的处境，由坏到好递减。
type room uint8

const (
	free     room = iota // 能花
	reserved             // 余下的被在途的预留着
	shared               // 控制面不在，本节点的一份用完了
	spentUp              // 用完了
)

// roomIn 判一项：limit 为 0 即不限。nodes 为 0 即新鲜，否则只有余下的 1/nodes。
func roomIn(limit, spent, own, flight, nodes int64) room {
	if limit == 0 {
		return free
	}
	left := limit - spent
	if left <= 0 {
		return spentUp
	}
	usedUp := spentUp
	if nodes > 0 {
		left /= nodes
		usedUp = shared
	}
	switch {
	case own >= left:
		return usedUp
	case own+flight >= left:
		return reserved
	}
	return free
}

// admit 换期并判断；须持锁。
func (g *Guard) admit(app *state.App, now time.Time) (*account, error) {
	a, b := g.account(app.Name), app.Budget
	if !a.known {
		young := now.Sub(a.since) <= g.cfg.Fresh && !g.heard.IsZero() && now.Sub(g.heard) <= g.cfg.Fresh
		if young {
			return a, nil
		}
		return nil, vegaerr.New(vegaerr.Unavailable, "not_ready",
			"the gateway does not know yet what app %q has spent of its budget; try again shortly", app.Name).WithRetryAfter(retryUnknown)
	}
	a.roll(b, now, g.cfg.Fresh)
	var nodes int64
	if !a.fresh(now, g.cfg.Fresh) {
		nodes = max(a.told.nodes, 1)
	}
	spent, own := a.spent(), a.mine()
	worst := max(roomIn(b.AmountNano, spent.Nano, own.Nano, a.flight.Nano, nodes),
		roomIn(b.Tokens, spent.Tokens, own.Tokens, a.flight.Tokens, nodes))
	return a, a.refusal(worst, app.Name, now)
}

func (a *account) refusal(r room, app string, now time.Time) error {
	switch r {
	case spentUp:
		return vegaerr.New(vegaerr.Exhausted, "insufficient_quota",
			"the budget of app %q is used up; it starts again at %s", app, a.end.UTC().Format(time.RFC3339)).WithRetryAfter(max(a.end.Sub(now), time.Millisecond))
	case shared:
		return vegaerr.New(vegaerr.Exhausted, "insufficient_quota",
			"the part of the budget of app %q that this gateway may spend while out of touch with its control plane is used up; the budget starts again at %s",
			app, a.end.UTC().Format(time.RFC3339)).WithRetryAfter(min(retryShare, max(a.end.Sub(now), time.Millisecond)))
	case reserved:
		return vegaerr.New(vegaerr.Exhausted, reasonReserved,
			"what is left of the budget of app %q is held by its requests in flight; try again shortly", app).WithRetryAfter(retryReserved)
	}
	return nil
}

// claim 在陈旧时把将要花的先记在盘上，一次多记一小份；须持锁。新鲜时不必：控制面记得。
func (g *Guard) claim(app *state.App, a *account, estimate Spend) error {
	if g.file == nil || !a.known || a.fresh(g.now(), g.cfg.Fresh) {
		return nil
	}
	b, spent, nodes := app.Budget, a.spent(), max(a.told.nodes, 1)
	need := a.mine().plus(a.flight).plus(estimate)
	if b.AmountNano == 0 { // 没有限的一项不必预支：它没有份，每个请求都得写一次盘
		need.Nano = 0
	}
	if b.Tokens == 0 {
		need.Tokens = 0
	}
	if need.max(a.claimed) == a.claimed {
		return nil
	}
	was := a.claimed
	a.claimed = Spend{
		Nano:   claimed(need.Nano, b.AmountNano-spent.Nano, nodes),
		Tokens: claimed(need.Tokens, b.Tokens-spent.Tokens, nodes),
	}.max(was)
	if err := g.file.save(g.keep(), synced); err != nil {
		a.claimed = was
		return vegaerr.Wrap(err, vegaerr.Unavailable, "not_ready",
			"the gateway cannot write down what app %q spends while its control plane is away; try again shortly", app.Name).WithRetryAfter(retryShare)
	}
	return nil
}

// claimed 是要记作花掉的：need 再加一小份，但不因此超过本节点的一份。
func claimed(need, left, nodes int64) int64 {
	share := max(left, 0) / nodes
	return max(need, min(share, need+share/claimParts))
}
