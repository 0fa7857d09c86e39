package admit

import (
	"context"
	"time"

	"go.uber.org/zap"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

// saveAgain 是存盘失败后隔多久再试：盘满了要等人来腾。
const saveAgain = 10 * time.Second

// queueSave 让最新的份额等着存；还没开始存的旧的被顶掉。须持锁。
func (g *Gate) queueSave(s *admissionv1.Share) {
	select {
	case <-g.saves:
	default:
	}
	g.saves <- s
}

// keep 把安全份额写到盘上，再告诉状态机，直到 ctx 结束。没有落盘的份额不算数，所以写不下就隔一阵再试。
func (g *Gate) keep(ctx context.Context) {
	again := time.NewTimer(saveAgain)
	again.Stop()
	defer again.Stop()
	var unsaved *admissionv1.Share
	for {
		select {
		case unsaved = <-g.saves:
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if err := g.save(unsaved); err != nil {
			g.log.Error("storing the safe share failed: the share in use stays the one on disk", zap.Error(err), zap.Uint64("version", unsaved.GetVersion()))
			again.Reset(saveAgain)
			continue
		}
		again.Stop()
		g.stored(unsaved.GetVersion())
	}
}

func (g *Gate) save(s *admissionv1.Share) error {
	if g.deps.Save == nil {
		return nil
	}
	return g.deps.Save(s)
}

func (g *Gate) stored(version uint64) {
	g.lock()
	defer g.mu.Unlock()
	g.step(schedule.Stored{Version: version})
}
