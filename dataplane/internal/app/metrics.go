package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vega-gateway/vega/dataplane/internal/journal"
)

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
	counter("vega_usage_dropped_total", "Usage records lost because the ring in memory was full.", func() float64 { return float64(a.records.Stats().Dropped) })
	a.registerJournal(gauge, counter)
	gauge("vega_client_connections", "Open client connections.", func() float64 { return float64(a.listen.api.Open()) })
	counter("vega_client_connections_refused_total", "Client connections refused to stay below the descriptor limit.", func() float64 { return float64(a.listen.api.Refused()) })
}

// registerJournal 登记用量记录在盘上的情形。
func (a *App) registerJournal(gauge, counter func(name, help string, f func() float64)) {
	health := func(f func(journal.Health) int64) func() float64 {
		return func() float64 { return float64(f(a.records.Health())) }
	}
	gauge("vega_usage_journal_durable", "Whether new usage records are written to disk.", func() float64 { return truth(a.records.Health().Durable) })
	gauge("vega_usage_journal_bytes", "Bytes the usage journal takes on disk, including what is kept after it was acknowledged.", health(func(h journal.Health) int64 { return h.Bytes }))
	gauge("vega_usage_journal_waiting", "Finished requests whose record the disk did not take yet.", health(func(h journal.Health) int64 { return h.Waiting }))
	counter("vega_usage_unjournalled_total", "Requests whose record is kept in memory only.", health(func(h journal.Health) int64 { return h.Unjournalled }))
	counter("vega_usage_replayed_total", "Requests a killed process left open, reported as aborted at this start.", health(func(h journal.Health) int64 { return h.Replayed }))
	counter("vega_usage_journal_damaged_total", "Stretches of the usage journal that could not be read.", health(func(h journal.Health) int64 { return h.Damaged }))
	counter("vega_usage_journal_syncs_total", "Times the usage journal was synced to disk.", health(func(h journal.Health) int64 { return h.Syncs }))
	counter("vega_usage_journal_sync_failures_total", "Times a sync of the usage journal failed.", health(func(h journal.Health) int64 { return h.SyncFailures }))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
