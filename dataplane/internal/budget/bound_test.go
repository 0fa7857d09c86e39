package budget

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"

	"github.com/vega-gateway/vega/dataplane/internal/state"
)

// fleet 是几个节点与一个控制面，时间一步步走：消息晚到、记录晚报、节点被杀、控制面走开。
type fleet struct {
	t     *rapid.T
	limit int64
	now   time.Time
	nodes []*member
	// booked 是已入库的；total 是真的花掉的。
	booked, total int64
}

// member 是一个节点。journal 里的每条记录是一次花费，杀不掉；delivered 是入库到第几条。
type member struct {
	*rig
	journal   []int64
	delivered int
	flight    []call
}

type call struct {
	hold   *Hold
	actual int64
}

func newFleet(t *rapid.T, tb testing.TB, limit int64, n int) *fleet {
	f := &fleet{t: t, limit: limit, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	for i := range n {
		m := &member{rig: &rig{t: tb, now: f.now, dir: tb.TempDir(), zone: time.UTC}}
		m.app = &state.App{Name: "team", Budget: &state.Budget{Tokens: limit, Zone: time.UTC, Period: configv1.BudgetPeriod_BUDGET_PERIOD_DAY}}
		m.boot(fmt.Sprint("n", i))
		f.nodes = append(f.nodes, m)
	}
	return f
}

func (m *member) boot(name string) {
	var err error
	m.g, err = New(Config{Node: name, Dir: m.dir}, Deps{
		Reached: func() []Mark { return []Mark{{Epoch: epoch, Seq: uint64(len(m.journal))}} }, Now: func() time.Time { return m.now }})
	if err != nil {
		m.t.Fatal(err)
	}
}

func (f *fleet) pass(d time.Duration) {
	f.now = f.now.Add(d)
	for _, m := range f.nodes {
		m.now = f.now
	}
}

// begin 试着开始一次调用；预计的总不少于真的，所以在途的误差是零。
func (f *fleet) begin(m *member, estimate, actual int64) bool {
	c := call{hold: &Hold{}, actual: actual}
	if m.g.Take(m.app, tokens(estimate), c.hold) != nil {
		return false
	}
	m.flight = append(m.flight, c)
	return true
}

func (f *fleet) finish(m *member, i int) {
	c := m.flight[i]
	m.flight = append(m.flight[:i], m.flight[i+1:]...)
	m.journal = append(m.journal, c.actual)
	f.total += c.actual
	c.hold.Settle(tokens(c.actual))
}

// deliver 让节点把至多 n 条记录交给控制面入库。
func (f *fleet) deliver(m *member, n int) {
	for ; n > 0 && m.delivered < len(m.journal); n-- {
		f.booked += m.journal[m.delivered]
		m.delivered++
	}
}

// said 是控制面此刻要说的：游标先读，花费后算。
func (f *fleet) said(m *member, cursor int) *configv1.Budgets {
	day := f.now.Truncate(24 * time.Hour)
	return &configv1.Budgets{Nodes: int64(len(f.nodes)), Cursors: []*configv1.UsageCursor{{Epoch: epoch, HighWater: uint64(cursor)}},
		Apps: []*configv1.BudgetStatus{{App: "team", PeriodStartUnixMs: day.UnixMilli(), PeriodEndUnixMs: day.Add(24 * time.Hour).UnixMilli(), SpentTokens: f.booked}}}
}

// unseen 是别的节点花了、正在花，而 m 最近听到的里面没有的。
func (f *fleet) unseen(m *member) int64 {
	n := f.total - m.g.accounts["team"].spent().Tokens
	for _, r := range m.journal[min(m.delivered, len(m.journal)):] {
		n -= r
	}
	for _, o := range f.nodes {
		for _, c := range o.flight {
			if o != m {
				n += c.actual
			}
		}
	}
	return max(n, 0)
}

// TestGuard_NeverAdmitsAboveTheBound：任何历史里，放行的那一刻，本节点知道的加上在途的真花费没有到预算；
// 因此花掉的总数 ≤ 预算 + 一个请求 + 那一刻别的节点花了而本节点还没听说的。
func TestGuard_NeverAdmitsAboveTheBound(t *testing.T) {
	worst := int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		const limit, most = 1_000, 40
		f := newFleet(rt, t, limit, rapid.IntRange(1, 4).Draw(rt, "nodes"))
		for _, m := range f.nodes {
			m.g.Heard(f.said(m, 0))
		}
		bound, peak := int64(limit), int64(0)
		node := func() *member { return f.nodes[rapid.IntRange(0, len(f.nodes)-1).Draw(rt, "node")] }
		for range rapid.IntRange(50, 400).Draw(rt, "steps") {
			m := node()
			switch rapid.SampledFrom([]string{"begin", "begin", "begin", "finish", "finish", "deliver", "hear", "pass", "seal", "kill"}).Draw(rt, "step") {
			case "begin":
				actual := rapid.Int64Range(0, most).Draw(rt, "actual")
				if f.begin(m, actual+rapid.Int64Range(0, 10).Draw(rt, "surplus"), actual) {
					bound = max(bound, limit+most+f.unseen(m))
				}
			case "finish":
				if len(m.flight) > 0 {
					f.finish(m, rapid.IntRange(0, len(m.flight)-1).Draw(rt, "which"))
				}
			case "deliver":
				f.deliver(m, rapid.IntRange(1, 10).Draw(rt, "records"))
			case "hear":
				cursor := m.delivered
				f.deliver(m, rapid.IntRange(0, 3).Draw(rt, "in between")) // 读游标与算花费之间又入库了几条
				m.g.Heard(f.said(m, cursor))
			case "pass":
				f.pass(time.Duration(rapid.IntRange(1, 2_000).Draw(rt, "ms")) * time.Millisecond)
			case "seal":
				m.g.mu.Lock()
				m.g.seal(m.now)
				m.g.mu.Unlock()
			case "kill": // 在途的由重放补成记录
				m.g.save()
				for len(m.flight) > 0 {
					f.total += m.flight[0].actual
					m.journal = append(m.journal, m.flight[0].actual)
					m.flight = m.flight[1:]
				}
				for i, o := range f.nodes {
					if o == m {
						m.boot(fmt.Sprint("n", i))
					}
				}
			}
			inFlight := int64(0)
			for _, o := range f.nodes {
				for _, c := range o.flight {
					inFlight += c.actual
				}
			}
			peak = max(peak, f.total+inFlight)
			if peak > bound {
				rt.Fatalf("spent %d with a limit of %d and a bound of %d", peak, limit, bound)
			}
		}
		worst = max(worst, peak-limit)
	})
	t.Logf("figures: budget property overshoot=%d", worst)
}

// TestGuard_TheFleetStaysWithinTheLimitWhileTheControlPlaneIsAway：同一条话之后控制面不再说话，节点随便死几次，
// 合起来至多超出每个节点最后放行的那个请求。
func TestGuard_TheFleetStaysWithinTheLimitWhileTheControlPlaneIsAway(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const limit, most = 1_000, 40
		n := rapid.IntRange(1, 5).Draw(rt, "nodes")
		f := newFleet(rt, t, limit, n)
		f.booked = rapid.Int64Range(0, limit).Draw(rt, "spent before")
		f.total = f.booked
		for _, m := range f.nodes {
			m.g.Heard(f.said(m, 0))
			m.g.save()
		}
		f.pass(time.Hour)
		for range 300 {
			i := rapid.IntRange(0, n-1).Draw(rt, "node")
			m := f.nodes[i]
			actual := rapid.Int64Range(0, most).Draw(rt, "actual")
			if f.begin(m, actual, actual) {
				f.finish(m, 0)
			}
			if rapid.IntRange(0, 9).Draw(rt, "die") == 0 {
				m.boot(fmt.Sprint("n", i))
			}
		}
		if f.total > limit+int64(n)*most {
			rt.Fatalf("spent %d of %d on %d nodes", f.total, limit, n)
		}
	})
}
