package budget

import (
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Spend 是一笔花费；可相加。
type Spend struct {
	Nano   int64 `json:"nano"`   // 10⁻⁹ 货币单位
	Tokens int64 `json:"tokens"` // 输入与输出之和
}

// huge 是加到顶停住的地方：几个这么大的再相加也不溢出，离谱的价格因此只会拒绝，不会绕回负数。
const huge = 1 << 61

func bound(n int64) int64 { return min(max(n, 0), huge) }

func (s Spend) plus(o Spend) Spend {
	return Spend{bound(bound(s.Nano) + bound(o.Nano)), bound(bound(s.Tokens) + bound(o.Tokens))}
}

func (s Spend) minus(o Spend) Spend {
	return Spend{bound(bound(s.Nano) - bound(o.Nano)), bound(bound(s.Tokens) - bound(o.Tokens))}
}

func (s Spend) max(o Spend) Spend { return Spend{max(s.Nano, o.Nano), max(s.Tokens, o.Tokens)} }

// Mark 是用量记录里的一个位置：epoch 里已写下的最大序号。
type Mark struct{ Epoch, Seq uint64 }

// Config 的零值可用。
type Config struct {
	// Node 是节点名，写进盘上的文件：抄来的数据目录不算数。
	Node string
	// Dir 是存放记得的东西的目录；空即不存。
	Dir string
	// Fresh 是控制面的话多久之内算新鲜；0 即 3 s。
	Fresh time.Duration
	// Settle 是失去联系之后，要接连听多久才又信：别的节点攒下的也要有时间交上去；0 即 6 s，大于用量流重连的最长间隔。
	Settle time.Duration
	// SealEvery 是多久看一次记录写到了哪里；0 即 200 ms。
	SealEvery time.Duration
	// SaveEvery 是有变化时多久存一次盘；0 即 1 s。
	SaveEvery time.Duration
}

// Deps 中 Reached 必填。
type Deps struct {
	// Reached 给出各份用量记录已写到哪里：此前调用过 Settle 的都在其中。
	Reached func() []Mark
	Log     *zap.Logger      // nil 即不记
	Now     func() time.Time // nil 即 time.Now
}

// Guard 守着各 app 的预算。用 New 造。
type Guard struct {
	cfg     Config
	reached func() []Mark
	log     *zap.Logger
	now     func() time.Time
	file    *file // nil 即不存

	mu       sync.Mutex
	accounts map[string]*account
	heard    time.Time // 最近一条 Budgets 到的时刻；零值即还没有
	unsealed bool      // 有账还没有盖上记录的位置
	places   map[uint64]place
	unsaved  bool
}

// New 读出盘上记得的，造一个 Guard；读不出的记日志，当作没有。
func New(cfg Config, deps Deps) (*Guard, error) {
	if deps.Reached == nil {
		return nil, errors.New("budget: Reached must be given")
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&cfg.Fresh, 3 * time.Second}, {&cfg.Settle, 6 * time.Second}, {&cfg.SealEvery, 200 * time.Millisecond}, {&cfg.SaveEvery, time.Second}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	g := &Guard{cfg: cfg, reached: deps.Reached, log: deps.Log, now: deps.Now, accounts: map[string]*account{}, places: map[uint64]place{}}
	for _, m := range g.reached() {
		g.places[m.Epoch] = place{seq: m.Seq}
	}
	if g.log == nil {
		g.log = zap.NewNop()
	}
	if g.now == nil {
		g.now = time.Now
	}
	if cfg.Dir != "" {
		g.file = &file{dir: cfg.Dir, node: cfg.Node}
		g.remember()
	}
	return g, nil
}

// remember 从盘上接着记：那时花了而没有入库的，记到开机时记录所在的位置为止。
func (g *Guard) remember() {
	kept, err := g.file.load()
	if err != nil {
		g.log.Warn("what was known of the budgets is unusable, forgetting it", zap.Error(err))
		return
	}
	marks, now := g.reached(), g.now()
	for _, k := range kept {
		a := &account{known: true, told: k.told(), start: k.Start, end: k.End}
		if k.Claimed != (Spend{}) {
			sealed := now
			if !sealed.Before(k.End) { // 花在已经过去的一期里，换期时随它去掉
				sealed = k.End.Add(-1)
			}
			a.own = []parcel{{Spend: k.Claimed, sealed: sealed, marks: marks}}
		}
		g.accounts[k.App] = a
	}
}

// Reconfigured 在每次换上新配置之后调用：不再有预算的忘掉，新有的从此刻起等控制面说话。
func (g *Guard) Reconfigured(st *state.State) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for name := range g.accounts {
		if a, ok := st.App(name); !ok || a.Budget == nil {
			delete(g.accounts, name)
			g.unsaved = true
		}
	}
	for a := range st.Apps() {
		if a.Budget != nil {
			g.account(a.Name)
		}
	}
}

// account 给出 app 的账，没有就开一本；须持锁。
func (g *Guard) account(app string) *account {
	a := g.accounts[app]
	if a == nil {
		a = &account{}
		g.accounts[app] = a
	}
	if a.since.IsZero() {
		a.since = g.now()
	}
	return a
}

// Check 说 app 的预算是不是已经用完；排队之前问，什么也不预留，也不看在途的：等的当中它们会结束。错误见 Take。
func (g *Guard) Check(app *state.App) error {
	if g == nil || app.Budget == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	_, err := g.admit(app, g.now())
	if err != nil && vegaerr.As(err).Reason == reasonReserved {
		return nil
	}
	return err
}

// Take 在一次上游调用之前预留预计的花费，记进 h；同一个请求的各次调用累加在同一个 h 上。
//
// 错误：insufficient_quota（预算用完了，RetryAfter 到重新开始为止；或控制面不在而本节点的一份用完了）、
// rate_limit_exceeded（余下的被在途的请求预留着，稍后再来）、not_ready（不知道花了多少）。
func (g *Guard) Take(app *state.App, estimate Spend, h *Hold) error {
	if g == nil || app.Budget == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a, err := g.admit(app, g.now())
	if err != nil {
		return err
	}
	if err := g.claim(app, a, estimate); err != nil {
		return err
	}
	if h.account != a { // 等的当中钥匙换了 app，或者预算去掉过又有了
		h.giveBack()
	}
	h.guard, h.account = g, a
	h.reserved = h.reserved.plus(estimate)
	a.flight = a.flight.plus(estimate)
	return nil
}

// Hold 是一个请求在预算里预留的；零值是没有。由一个协程依次使用。
type Hold struct {
	guard    *Guard
	account  *account
	reserved Spend
}

// Settle 在请求的账写进记录之后调用：预留的换成真的花费。没有预留过的什么也不做。
func (h *Hold) Settle(spent Spend) {
	if h.guard == nil {
		return
	}
	g, a := h.guard, h.account
	g.mu.Lock()
	defer g.mu.Unlock()
	h.giveBack()
	if spent != (Spend{}) {
		a.open = a.open.plus(spent)
		g.unsealed, g.unsaved = true, true
	}
	*h = Hold{}
}

// giveBack 还掉预留的；须持锁。
func (h *Hold) giveBack() {
	if h.account != nil {
		h.account.flight = h.account.flight.minus(h.reserved)
	}
	h.reserved = Spend{}
}

// Release 放掉还没有结算的预留；可以多次调用。
func (h *Hold) Release() { h.Settle(Spend{}) }

// Warning 给出 app 花到了百分之几（向下取整）；没有预算、没到警告线或还不知道则 ok 为假。
func (g *Guard) Warning(app *state.App) (percent int64, ok bool) {
	if g == nil || app.Budget == nil || app.Budget.SoftPercent == 0 {
		return 0, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.account(app.Name)
	if !a.known {
		return 0, false
	}
	a.roll(app.Budget, g.now(), g.cfg.Fresh)
	percent = a.percent(app.Budget)
	return percent, percent >= app.Budget.SoftPercent
}
