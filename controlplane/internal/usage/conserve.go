package usage

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// LevelSum 是一级在一小时或一天里的和；Name 是 minute、hour、day、hour_by_app 之类。
type LevelSum struct {
	Name   string
	Day    bool
	Counts [NumCounters]int64
}

// Sample 是随机一小时（与它所在的那一天）在各级的和；同一跨度里各级必须相等。
type Sample struct {
	Hour time.Time
	Sums []LevelSum
}

// Differences 以每个跨度里名为 hour 的那一级为准，给出与它不同的各级差了多少（各栏之差的绝对值之和）；相等的为 0。
func (s Sample) Differences() map[string]int64 {
	truth := make(map[bool][NumCounters]int64)
	for _, l := range s.Sums {
		if l.Name == "hour" {
			truth[l.Day] = l.Counts
		}
	}
	out := make(map[string]int64)
	for _, l := range s.Sums {
		if l.Name == "hour" {
			continue
		}
		out[l.Name] = 0
		for i, n := range l.Counts {
			d := n - truth[l.Day][i]
			out[l.Name] += max(d, -d)
		}
	}
	return out
}

// Run 定期核对守恒与各级，直到 ctx 结束；那时所有的流也结束。只可调用一次。
func (s *Service) Run(ctx context.Context) error {
	defer close(s.stopping)
	cheap, deep := time.NewTicker(s.cfg.CheckEvery), time.NewTicker(s.cfg.CompareEvery)
	defer cheap.Stop()
	defer deep.Stop()
	s.checkConservation(ctx)
	s.compareLevels(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-cheap.C:
			s.checkConservation(ctx)
		case <-deep.C:
			s.compareLevels(ctx)
		}
	}
}

func (s *Service) checkConservation(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	diff, err := s.deps.Store.UsageConservation(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.deps.Log.Warn("cannot check usage conservation", zap.Error(err))
		}
		return
	}
	m := s.deps.Metrics
	for column, n := range diff.Columns() {
		m.difference.WithLabelValues(column).Set(float64(n))
	}
	m.conservedAt.SetToCurrentTime()
	if diff != (Totals{}) {
		s.deps.Log.Error("DEFECT: usage aggregates and cursors differ", zap.Any("aggregates_minus_cursors", diff))
	}
}

func (s *Service) compareLevels(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	sample, err := s.deps.Store.SampleUsage(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.deps.Log.Warn("cannot compare the levels of usage", zap.Error(err))
		}
		return
	}
	m := s.deps.Metrics
	for level, n := range sample.Differences() {
		m.levelDifference.WithLabelValues(level).Set(float64(n))
		if n != 0 {
			s.deps.Log.Error("DEFECT: a level of usage differs from the hours", zap.String("level", level), zap.Int64("difference", n), zap.Time("hour", sample.Hour))
		}
	}
	m.comparedAt.SetToCurrentTime()
}

// checkTimeout 让一次核对不能占着连接不放。
const checkTimeout = 30 * time.Second
