package admit

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vega-gateway/vega/proto/schedule"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// maxSeries 是等待时间按 app 与 server 分开的上限；再多的都算在 otherSeries 名下。
const (
	maxSeries   = 1_000
	otherSeries = "other"
)

var waits = []float64{.005, .025, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60}

// metrics 是准入的指标；数目在抓取时现取，只有等过的与被拒的才在路上记一笔。
type metrics struct {
	gate     *Gate
	refusals map[string]prometheus.Counter // 原因是封闭集合
	vec      *prometheus.CounterVec
	wait     *prometheus.HistogramVec

	mu     sync.Mutex
	series map[waitLabels]prometheus.Observer

	waiting, permits, connected, safe, leaked *prometheus.Desc
}

type waitLabels struct{ app, server string }

func newMetrics(reg prometheus.Registerer, g *Gate) (*metrics, error) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	m := &metrics{
		gate: g,
		vec: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vega_admission_refusals_total", Help: "Requests not admitted, by reason."},
			[]string{"reason"}),
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "vega_queue_wait_seconds", Help: "Wait of requests that were queued and then admitted.", Buckets: waits},
			[]string{"app", "server"}),
		refusals: map[string]prometheus.Counter{}, series: map[waitLabels]prometheus.Observer{},
		waiting:   desc("vega_queue_waiting", "Requests waiting on this node; one that waits for any of several servers counts at each.", "server"),
		permits:   desc("vega_admission_permits", "In-flight units of limited servers this node holds, by state.", "state"),
		connected: desc("vega_admission_connected", "Whether the admission leader knows this node."),
		safe:      desc("vega_admission_safe_mode", "Whether this node lives on its safe share because the control plane is away."),
		leaked:    desc("vega_admission_leaked_permits", "Permits out for longer than any call may last, and disagreements between the books; always zero, or it is a defect."),
	}
	for _, reason := range []string{queueFull, queueTimeout, rateLimited, noServer, canceled} {
		m.refusals[reason] = m.vec.WithLabelValues(reason)
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.vec), reg.Register(m.wait), reg.Register(m))
}

const canceled = "canceled"

// refused 记下一次没有得到许可；nil 即得到了。
func (m *metrics) refused(err error) {
	var e *vegaerr.Error
	if !errors.As(err, &e) {
		return
	}
	if c := m.refusals[e.ReasonOrCode()]; c != nil {
		c.Inc()
	}
}

// waited 记下一次等待。
func (m *metrics) waited(app, server string, d time.Duration) {
	m.mu.Lock()
	l := waitLabels{app, server}
	o, ok := m.series[l]
	if !ok && len(m.series) >= maxSeries {
		l = waitLabels{otherSeries, otherSeries}
		o, ok = m.series[l]
	}
	if !ok {
		o = m.wait.WithLabelValues(l.app, l.server)
		m.series[l] = o
	}
	m.mu.Unlock()
	o.Observe(d.Seconds())
}

// Describe 实现 prometheus.Collector。
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.waiting, m.permits, m.connected, m.safe, m.leaked} {
		ch <- d
	}
}

// Collect 实现 prometheus.Collector。
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for name, l := range m.gate.Servers() {
		gauge(m.waiting, float64(l.Waiting), name)
	}
	st := m.gate.state()
	var idle, busy, aborting int64
	for _, p := range st.Pools {
		if p.Limited && p.Pool.Server != "" && p.Pool.Kind == schedule.InFlight {
			idle, busy, aborting = idle+p.Idle, busy+p.Busy, aborting+p.Aborting
		}
	}
	gauge(m.permits, float64(idle), "idle")
	gauge(m.permits, float64(busy), "busy")
	gauge(m.permits, float64(aborting), "aborting")
	gauge(m.connected, truth(st.Connected))
	gauge(m.safe, truth(st.Safe))
	gauge(m.leaked, float64(m.gate.Leaked()))
}

func (g *Gate) state() schedule.HolderState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.holder.State()
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
