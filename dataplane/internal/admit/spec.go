package admit

import (
	"cmp"
	"maps"
	"slices"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/schedule"
)

// Reconfigure 在换上新配置之后调用：限额当场生效，在等的请求都去看新的目标，忘掉不再有、也没有人在用的 server。
func (g *Gate) Reconfigure(st *state.State) {
	g.lock()
	defer g.mu.Unlock()
	g.st = st
	maps.DeleteFunc(g.known, func(name string, _ struct{}) bool {
		_, ok := st.App(name)
		return !ok
	})
	maps.DeleteFunc(g.servers, func(name string, l *load) bool {
		_, ok := st.Server(name)
		return !ok && l.inFlight == 0 && l.waiting == 0
	})
	g.configure()
	for range g.waiting {
		g.nudge()
	}
}

// meet 在第一次见到一个有限额的 app 时把它告诉状态机：上万个 app 里，一个节点只见得到其中的一些。须持锁。
func (g *Gate) meet(app *state.App) {
	if app == nil {
		return
	}
	if _, ok := g.known[app.Name]; ok {
		return
	}
	g.known[app.Name] = struct{}{}
	if g.limitsOf(app.Name) != (schedule.Limits{}) {
		g.configure()
	}
}

// limitsOf 是在用的配置里一个 app 的限额；请求手里的 App 可能是旧的，所以不看它。
func (g *Gate) limitsOf(name string) schedule.Limits {
	if g.st == nil {
		return schedule.Limits{}
	}
	app, ok := g.st.App(name)
	if !ok {
		return schedule.Limits{}
	}
	return schedule.Limits(app.Limits)
}

// configure 把在用的配置交给状态机。须持锁。
func (g *Gate) configure() {
	if g.st == nil {
		return
	}
	spec := &schedule.Spec{Revision: g.st.Revision, Servers: serverSpecs(g.st)}
	for name := range g.known { // 没有限额的也在其中：不在的，状态机会忘掉为它服务过多少
		spec.Apps = append(spec.Apps, schedule.AppSpec{Name: name, Limits: g.limitsOf(name)})
	}
	slices.SortFunc(spec.Apps, func(a, b schedule.AppSpec) int { return cmp.Compare(a.Name, b.Name) })
	g.step(schedule.Configured{Spec: spec})
}

// serverSpecs 是各 server 与准入有关的部分，按名字。
func serverSpecs(st *state.State) (out []schedule.ServerSpec) {
	for s := range st.Servers() {
		out = append(out, schedule.ServerSpec{
			Name: s.Name, Identity: string(s.Identity[:]), Limits: schedule.Limits(s.Limits), BurstPercent: int64(s.BurstPercent),
			MaxWaiting: int64(s.MaxWaiting), Total: s.Total, AbortGrace: s.AbortGrace,
		})
	}
	slices.SortFunc(out, func(a, b schedule.ServerSpec) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
