package usage

import "github.com/prometheus/client_golang/prometheus"

// Metrics 是本包的指标；一个进程一份，由 NewMetrics 造。
type Metrics struct {
	batches     *prometheus.CounterVec
	records     prometheus.Counter
	lost        prometheus.Counter
	mismatches  prometheus.Counter
	regressions prometheus.Counter
	seconds     prometheus.Histogram
	difference  *prometheus.GaugeVec
}

// NewMetrics 把指标登记到 reg；重复登记会 panic，因此一个 reg 只调一次。
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vega_usage_batches_total", Help: "Usage batches received, by result."}, []string{"result"}),
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_usage_records_total", Help: "Usage records counted, each once."}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_usage_lost_records_total", Help: "Usage records that nodes reported as lost."}),
		mismatches: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_usage_cumulative_mismatches_total", Help: "Batches whose cumulative totals differ from ours without a known hole."}),
		regressions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_usage_cursor_regressions_total", Help: "Hellos of nodes that had seen a later acknowledgement than the database knows."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "vega_usage_ingest_seconds", Help: "Time to commit one batch.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 5}}),
		difference: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "vega_usage_conservation_difference", Help: "Aggregates minus cursors, by column; anything but 0 is a defect."}, []string{"column"}),
	}
	reg.MustRegister(m.batches, m.records, m.lost, m.mismatches, m.regressions, m.seconds, m.difference)
	return m
}

func (m *Metrics) count(v Verdict) {
	m.batches.WithLabelValues(v.Kind.String()).Inc()
	m.records.Add(float64(v.Records - v.Lost))
	m.lost.Add(float64(v.Lost))
	if v.Mismatch != nil {
		m.mismatches.Inc()
	}
}
