package app

import "github.com/prometheus/client_golang/prometheus"

// registerMetrics 登记节点自己的指标；各零件的在各零件里。
func (a *App) registerMetrics(reg prometheus.Registerer) {
	gauge := func(name, help string, f func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	counter := func(name, help string, f func() float64) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f))
	}
	gauge("vega_config_revision", "Configuration revision in use.", func() float64 {
		if s := a.holder.Load(); s != nil {
			return float64(s.Revision)
		}
		return 0
	})
	gauge("vega_config_stream_connected", "Whether the configuration stream is up.", func() float64 { return truth(a.subscriber.Connected()) })
	gauge("vega_usage_stream_connected", "Whether the usage stream is up.", func() float64 { return truth(a.reporter.Connected()) })
	gauge("vega_data_dir_writable", "Whether the last known good configuration can be kept on disk.", func() float64 { return truth(a.dataDir.problem == "") })
	gauge("vega_usage_unreported", "Usage records not yet acknowledged by the control plane.", func() float64 { return float64(a.records.Stats().Unreported) })
	counter("vega_usage_dropped_total", "Usage records lost because the ring was full.", func() float64 { return float64(a.records.Stats().Dropped) })
	gauge("vega_client_connections", "Open client connections.", func() float64 { return float64(a.listen.api.Open()) })
	counter("vega_client_connections_refused_total", "Client connections refused to stay below the descriptor limit.", func() float64 { return float64(a.listen.api.Refused()) })
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
