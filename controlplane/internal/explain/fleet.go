package explain

import (
	"cmp"
	"slices"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/schedule"
)

// targetKey 指一个目标。
type targetKey struct{ server, upstream string }

// member 是一个接着流量的节点与它摘出的目标。
type member struct {
	name    string
	ejected map[targetKey]push.Ejection
}

// fleet 是编好索引的 World。
type fleet struct {
	World
	members []member // 连着而没在退出的，按名字升序
	queues  map[string]*admission.Queue
	apps    map[string]*admission.App
}

func newFleet(w World) *fleet {
	f := &fleet{World: w, queues: map[string]*admission.Queue{}, apps: map[string]*admission.App{}}
	for _, n := range w.Nodes {
		if !n.Connected || n.Draining {
			continue
		}
		m := member{name: n.ID, ejected: map[targetKey]push.Ejection{}}
		for _, e := range n.Ejections {
			m.ejected[targetKey{e.Server, e.UpstreamModel}] = e
		}
		f.members = append(f.members, m)
	}
	slices.SortFunc(f.members, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	if w.Queues != nil {
		for i := range w.Queues.Rows {
			f.queues[w.Queues.Rows[i].Server] = &w.Queues.Rows[i]
		}
		for i := range w.Queues.Apps {
			f.apps[w.Queues.Apps[i].App] = &w.Queues.Apps[i]
		}
	}
	return f
}

func (f *fleet) pools(app string) *admission.App { return f.apps[app] }

// tiers 是一个模型的各层，每个目标都判过；权重为 0 的也列出，只是从不被选。
func (f *fleet) tiers(m *catalog.Model, app string) []Tier {
	targets := make([]*Target, len(m.Targets))
	for i, t := range m.Targets {
		targets[i] = f.look(t, app)
	}
	f.eject(targets)
	everyone := func(*Target) int64 { return 1 }
	tiers := []Tier{}
	for _, list := range ruleset.Tiers(targets, func(t *Target) int64 { return t.Priority }, everyone) {
		tier := Tier{Priority: list[0].Priority}
		share(list)
		for _, t := range list {
			tier.Targets = append(tier.Targets, *t)
		}
		tiers = append(tiers, tier)
	}
	return tiers
}

// look 判一个目标，不看摘出。
func (f *fleet) look(t catalog.Target, app string) *Target {
	out := &Target{Target: t, EjectedBy: []EjectedBy{}}
	s := f.Catalog.Servers[t.Server]
	if s == nil || !s.Enabled {
		out.State, out.Reason = ruleset.Disabled, &Reason{Code: ServerDisabled}
		return out
	}
	out.Queue = f.queues[t.Server]
	switch {
	case t.Weight <= 0:
		out.State, out.Reason = ruleset.Disabled, &Reason{Code: NoWeight}
	case out.Queue != nil:
		out.State, out.Reason = judge(out.Queue, t.UpstreamModel, app, &out.PausedUntil)
	}
	return out
}

// judge 以授予者的账判一个目标，规矩同 schedule.Core.Judge。
func judge(q *admission.Queue, upstream, app string, pausedUntil *time.Time) (ruleset.Verdict, *Reason) {
	for _, p := range q.Paused {
		if p.UpstreamModel == upstream {
			*pausedUntil = p.Until
			return ruleset.Paused, &Reason{Code: UpstreamPause}
		}
	}
	if what := blockedBy(q.Limits, q.InFlight+q.Quarantined, q.RequestsLevel, q.TokensLevel); what != nil {
		return ruleset.Full, what
	}
	own := slices.ContainsFunc(q.ByApp, func(a schedule.AppWaiting) bool { return a.App == app && a.Waiting > 0 })
	if q.Waiting > 0 && (own || q.EstimatedWait != 0) {
		return ruleset.Full, &Reason{Code: QueueAhead, Count: q.Waiting}
	}
	return ruleset.Startable, nil
}

// eject 合上各节点的摘出：每个节点自己判，放宽最后一个可用的，全部节点都不肯去才是摘出。
func (f *fleet) eject(targets []*Target) {
	live := slices.DeleteFunc(slices.Clone(targets), func(t *Target) bool { return t.Weight <= 0 })
	refused := make([]int, len(live))
	for _, m := range f.members {
		for i, v := range m.verdicts(live) {
			if v == ruleset.Ejected {
				refused[i]++
			}
		}
	}
	for i, t := range live {
		f.name(t)
		switch {
		case t.State == ruleset.Disabled || len(t.EjectedBy) == 0:
		case refused[i] == len(f.members):
			t.State, t.PausedUntil = ruleset.Ejected, time.Time{}
			t.Reason = &Reason{Code: EjectedByAll, Cause: t.EjectedBy[0].Reason}
		case t.Reason == nil && len(t.EjectedBy) == len(f.members):
			t.Reason = &Reason{Code: LastUsable}
		case t.Reason == nil:
			t.Reason = &Reason{Code: EjectedBySome, Count: int64(len(t.EjectedBy)), Nodes: int64(len(f.members))}
		}
	}
}

// verdicts 是一个节点对各目标的判断。
func (m member) verdicts(targets []*Target) []ruleset.Verdict {
	out := make([]ruleset.Verdict, len(targets))
	at := make([]int64, len(targets))
	for i, t := range targets {
		out[i] = t.State
		if e, ok := m.ejected[keyOf(t)]; ok && t.State != ruleset.Disabled {
			out[i], at[i] = ruleset.Ejected, since(e).UnixNano()
		}
	}
	if i, ok := ruleset.Relax(len(out), func(i int) ruleset.Verdict { return out[i] }, func(i int) int64 { return at[i] }); ok {
		out[i] = targets[i].State
	}
	return out
}

// since 在旧版本的节点没有说从何时起时，以摘到何时代替：只比大小。
func since(e push.Ejection) time.Time {
	if e.Since.IsZero() {
		return e.Until
	}
	return e.Since
}

// name 列出摘出了 t 的节点。
func (f *fleet) name(t *Target) {
	for _, m := range f.members {
		if e, ok := m.ejected[keyOf(t)]; ok {
			t.EjectedBy = append(t.EjectedBy, EjectedBy{Node: m.name, Reason: e.Reason, Until: e.Until})
		}
	}
}

func keyOf(t *Target) targetKey { return targetKey{t.Server, t.UpstreamModel} }

// share 按权重把一层分给此刻能开始的。
func share(tier []*Target) {
	var total int64
	for _, t := range tier {
		if t.State == ruleset.Startable {
			total += t.Weight
		}
	}
	for _, t := range tier {
		if t.State == ruleset.Startable {
			t.Share = float64(t.Weight) / float64(total)
		}
	}
}
