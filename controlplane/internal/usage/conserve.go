package usage

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// Run 定期核对守恒，直到 ctx 结束；那时所有的流也结束。只可调用一次。
func (s *Service) Run(ctx context.Context) error {
	defer close(s.stopping)
	tick := time.NewTicker(s.cfg.CheckEvery)
	defer tick.Stop()
	for {
		s.checkConservation(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *Service) checkConservation(ctx context.Context) {
	diff, err := s.deps.Store.UsageConservation(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.deps.Log.Warn("cannot check usage conservation", zap.Error(err))
		}
		return
	}
	for column, n := range diff.Columns() {
		s.deps.Metrics.difference.WithLabelValues(column).Set(float64(n))
	}
	if diff != (Totals{}) {
		s.deps.Log.Error("DEFECT: usage aggregates and cursors differ", zap.Any("aggregates_minus_cursors", diff))
	}
}
