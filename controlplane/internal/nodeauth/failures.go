package nodeauth

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

const failureLogEvery = 10 * time.Second

// failureLog 至多每 10 秒记一条失败，并说明其间压下了几条。
type failureLog struct {
	log *zap.Logger

	mu         sync.Mutex
	last       time.Time
	suppressed int
}

func newFailureLog(log *zap.Logger) *failureLog { return &failureLog{log: log} }

func (f *failureLog) note(method, peer string, err error) {
	now := time.Now()
	f.mu.Lock()
	if !f.last.IsZero() && now.Sub(f.last) < failureLogEvery {
		f.suppressed++
		f.mu.Unlock()
		return
	}
	suppressed := f.suppressed
	f.last, f.suppressed = now, 0
	f.mu.Unlock()
	f.log.Warn("refused a node", zap.String("method", method), zap.String("peer", peer),
		zap.Int("suppressed", suppressed), zap.Error(err))
}
