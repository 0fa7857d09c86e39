package push

import "github.com/prometheus/client_golang/prometheus"

// Metrics 是本包的指标；一个进程一份，由 NewMetrics 造。
type Metrics struct {
	headRevision  prometheus.Gauge
	snapshotBytes prometheus.Gauge
	latency       prometheus.Histogram
	nacks         prometheus.Counter
	updates       *prometheus.CounterVec
	reloadErrors  prometheus.Counter
	slowClosed    prometheus.Counter
	connected     prometheus.GaugeFunc
	behind        prometheus.GaugeFunc

	reg prometheus.Registerer
}

// NewMetrics 把指标登记到 reg；重复登记会 panic，因此一个 reg 只调一次。
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		reg: reg,
		headRevision: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "vega_push_head_revision", Help: "Revision of the newest snapshot this replica has loaded."}),
		snapshotBytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "vega_push_snapshot_bytes", Help: "Encoded size of the newest snapshot."}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "vega_push_latency_seconds", Help: "From publishing a revision to a node's ACK.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30}}),
		nacks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_push_nacks_total", Help: "Revisions refused by nodes."}),
		updates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vega_push_updates_total", Help: "Updates sent to nodes, by kind."}, []string{"kind"}),
		reloadErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_push_reload_errors_total", Help: "Failed attempts to read the configuration."}),
		slowClosed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_push_slow_streams_closed_total", Help: "Streams closed because a send was blocked for too long."}),
	}
	reg.MustRegister(m.headRevision, m.snapshotBytes, m.latency, m.nacks, m.updates, m.reloadErrors, m.slowClosed)
	return m
}

// watchFleet 登记随问随算的两个量。
func (m *Metrics) watchFleet(connected, behind func() float64) {
	m.connected = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "vega_push_connected_nodes", Help: "Nodes whose stream this replica holds."}, connected)
	m.behind = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "vega_push_nodes_behind", Help: "Nodes of this replica that have not applied the newest revision."}, behind)
	m.reg.MustRegister(m.connected, m.behind)
}
