package budget

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	used     *prometheus.GaugeVec
	failures prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		used: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "vega_budget_used_ratio", Help: "Share of an app's budget spent in the current period; 1 is all of it."}, []string{"app"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vega_budget_errors_total", Help: "Failed attempts to compute the spending of the budgets."}),
	}
	reg.MustRegister(m.used, m.failures)
	return m
}

// show 以 statuses 换下先前的：没有了预算的 app 不留着旧数。
func (m *metrics) show(statuses []Status) {
	m.used.Reset()
	for _, s := range statuses {
		m.used.WithLabelValues(s.App).Set(s.Ratio())
	}
}
