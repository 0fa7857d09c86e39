package admit

import (
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/schedule"
)

// Candidates 是一个请求可以去的目标们，由 gateway 提供。Choose 与 Waitable 多在 Gate 的锁内被调用，不可再回到 Gate。
type Candidates interface {
	// Choose 在此刻能开始的里面挑一个；judge 说准入这边准不准，要按层由上到下问它。没有则 nil。
	Choose(judge func(*state.Target) ruleset.Verdict) *state.Target
	// Waitable 走过值得等的：没停用、没摘出、没试过。
	Waitable(judge func(*state.Target) ruleset.Verdict, yield func(*state.Target))
	// Renew 按最新的配置重新解析名字，changed 说换过没有；等之前、等过之后在锁外调用。错误即这个请求的回答。
	Renew() (changed bool, err error)
	// Take 说等来的许可是给 t 的，挑目标的一方由此发出它的凭据；在锁外调用。没有等过的由 Choose 挑，不调用它。
	Take(t *state.Target)
}

// Ask 是一个请求要的：候选里的任何一个。
type Ask struct {
	Candidates Candidates
	App        *state.App     // 它的权重，与还没有配置时的限额；nil 即没有
	Class      schedule.Class // 调用者自己降过之后的；0 即 Standard
	// Arrived 定先后，零值即此刻；Deadline 是等到何时为止，零值即不等（至多问授予者一个来回）。
	Arrived, Deadline time.Time
	Cost              schedule.Cost // 预计的 token
	Bytes             int64         // 等的时候占着的请求体
	// Waiting 在等的时候报告位置：开始等时一次，此后每 Config.EventEvery 一次；在请求自己的协程上、锁外调用，不可久留。nil 即不要。
	Waiting func(schedule.Place)
}

// request 是准入要知道的。
func (a *Ask) request() schedule.Request {
	r := schedule.Request{Class: a.Class, Weight: 1, Cost: a.Cost}
	if a.App != nil {
		r.App, r.Weight = a.App.Name, max(1, a.App.Weight)
	}
	if r.Class == 0 {
		r.Class = schedule.Standard
	}
	return r
}
