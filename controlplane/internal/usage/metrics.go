package usage

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics 是本包的指标；一个进程一份，由 NewMetrics 造。
type Metrics struct {
	batches     *prometheus.CounterVec
	records     prometheus.Counter
	lost        prometheus.Counter
	mismatches  prometheus.Counter
	regressions prometheus.Counter
	seconds     prometheus.Histogram
	difference  *prometheus.GaugeVec

	conservedAt     prometheus.Gauge
	levelDifference *prometheus.GaugeVec
	comparedAt      prometheus.Gauge
	healed          prometheus.Counter

	rollSeconds  prometheus.Histogram
	rollDeltas   prometheus.Counter
	rollRows     prometheus.Counter
	rollFailures prometheus.Counter
	rollLast     prometheus.Gauge
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
		conservedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "vega_usage_conservation_checked_time_seconds", Help: "When conservation was last checked, in Unix seconds."}),
		levelDifference: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "vega_usage_level_difference", Help: "What a level differed from the hours at the last random hour and day; anything but 0 is a defect."}, []string{"level"}),
		comparedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "vega_usage_levels_compared_time_seconds", Help: "When the levels were last compared, in Unix seconds."}),
		healed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_usage_healed_records_total", Help: "Records counted again after the database had forgotten an acknowledged position."}),

		rollSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "vega_usage_roll_seconds", Help: "Time to merge one chunk of deltas into the levels.",
			Buckets: []float64{.001, .005, .01, .02, .05, .1, .2, .5, 1, 5}}),
		rollDeltas: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_usage_roll_deltas_total", Help: "Delta rows merged into the levels by this replica."}),
		rollRows: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_usage_roll_rows_total", Help: "Level rows written by this replica."}),
		rollFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_usage_roll_failures_total", Help: "Rolls that failed and will be tried again."}),
		rollLast: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "vega_usage_roll_last_time_seconds", Help: "When this replica last merged deltas, in Unix seconds."}),
	}
	reg.MustRegister(m.batches, m.records, m.lost, m.mismatches, m.regressions, m.seconds, m.difference,
		m.conservedAt, m.levelDifference, m.comparedAt, m.healed,
		m.rollSeconds, m.rollDeltas, m.rollRows, m.rollFailures, m.rollLast)
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

func (m *Metrics) rolled(r RollResult, took time.Duration) {
	m.rollLast.SetToCurrentTime()
	if r.Deltas > 0 {
		m.rollSeconds.Observe(took.Seconds())
		m.rollDeltas.Add(float64(r.Deltas))
		m.rollRows.Add(float64(r.Rows))
	}
}
