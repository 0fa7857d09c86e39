package admission

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vega-gateway/vega/proto/schedule"
)

// collectTimeout 是抓一次指标最多等事件循环多久。
const collectTimeout = time.Second

// Metrics 是本包的指标；一个进程一份，由 NewMetrics 造。
type Metrics struct {
	grants   prometheus.Counter
	refusals prometheus.Counter
	slow     prometheus.Counter

	reg prometheus.Registerer
}

// NewMetrics 把指标登记到 reg；重复登记会 panic，因此一个 reg 只调一次。
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		reg: reg,
		grants: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_admission_grants_total", Help: "Waiting requests granted by this replica as leader."}),
		refusals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_admission_refusals_total", Help: "Waiting requests refused early by this replica as leader."}),
		slow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_admission_slow_streams_closed_total", Help: "Streams closed because the node did not take its frames in time."}),
	}
	reg.MustRegister(m.grants, m.refusals, m.slow)
	return m
}

// count 记下一个任期里从 old 到 now 多出来的。
func (m *Metrics) count(old, now schedule.Counts) {
	m.grants.Add(float64(now.Grants - old.Grants))
	m.refusals.Add(float64(now.Refusals - old.Refusals))
}

// watch 登记随问随算的量。
func (m *Metrics) watch(h *Host) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("vega_admission_"+name, help, labels, nil)
	}
	m.reg.MustRegister(&collector{
		host:        h,
		leader:      desc("leader", "1 while this replica grants permits."),
		term:        desc("term", "The greatest leadership term this replica has heard of."),
		nodes:       desc("nodes", "Nodes that may hold permits or shares, by state; only at the leader.", "state"),
		inFlight:    desc("in_flight", "Requests in flight at a server; only at the leader.", "server"),
		held:        desc("held", "Permits of a server held by nodes, idle ones included; only at the leader.", "server"),
		quarantined: desc("quarantined", "Permits of a server held back for lost nodes; only at the leader.", "server"),
		waiting:     desc("waiting", "Requests waiting for a server; only at the leader.", "server", "app"),
		estimate:    desc("estimated_wait_seconds", "Estimated wait of a new request at a server; absent while unknown.", "server"),
	})
}

// collector 每次被抓时问一次事件循环；不是当任者就只有 leader 与 term。
type collector struct {
	host                                                                *Host
	leader, term, nodes, inFlight, held, quarantined, waiting, estimate *prometheus.Desc
}

// Describe 实现 prometheus.Collector。
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.leader, c.term, c.nodes, c.inFlight, c.held, c.quarantined, c.waiting, c.estimate} {
		ch <- d
	}
}

// Collect 实现 prometheus.Collector。
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(c.term, float64(c.host.elector.Term()))
	view, ok := c.view()
	if !ok {
		gauge(c.leader, 0)
		return
	}
	gauge(c.leader, 1)
	states := map[string]int{"connected": 0, "mute": 0, "lost": 0, "away": 0}
	for _, n := range view.Nodes {
		states[stateOf(n)]++
	}
	for _, state := range sortedKeys(states) {
		gauge(c.nodes, float64(states[state]), state)
	}
	for _, s := range view.Servers {
		gauge(c.inFlight, float64(s.InFlight), s.Server)
		gauge(c.held, float64(s.Held), s.Server)
		gauge(c.quarantined, float64(s.Quarantined), s.Server)
		for _, a := range s.ByApp {
			gauge(c.waiting, float64(a.Waiting), s.Server, a.App)
		}
		if s.EstimatedWait >= 0 {
			gauge(c.estimate, s.EstimatedWait.Seconds(), s.Server)
		}
	}
}

func (c *collector) view() (*schedule.View, bool) {
	r := c.host.current()
	if r == nil {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	v, _, ok := r.view(ctx)
	return v, ok
}

// stateOf 的四种：连着；连着而没有声音；租期过了，许可隔离着；断开不久，或本任期还没有来报到。
func stateOf(n schedule.NodeView) string {
	switch {
	case n.Lost:
		return "lost"
	case n.Muted:
		return "mute"
	case n.Connected:
		return "connected"
	}
	return "away"
}
