package push

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	saveTimeout = 5 * time.Second
	stopTimeout = 2 * time.Second
)

// Run 把本副本的节点写进数据库，直到 ctx 结束；结束时收掉所有流并把它们记为断开。只可调用一次。
func (f *Fleet) Run(ctx context.Context) error {
	tick := time.NewTicker(f.cfg.StatusEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			f.stop(context.WithoutCancel(ctx))
			return nil
		case <-f.wake:
			sleep(ctx, f.cfg.Coalesce)
		case <-tick.C:
		}
		f.flush(ctx)
	}
}

// stop 要所有流结束，稍等它们走完，再把它们记为断开。
func (f *Fleet) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	f.mu.Lock()
	close(f.stopping)
	f.mu.Unlock()
	for f.streams() > 0 && sleep(ctx, 5*time.Millisecond) {
		if deadline, _ := ctx.Deadline(); time.Until(deadline) < stopTimeout/2 {
			break
		}
	}
	f.mu.Lock()
	for id, s := range f.sessions {
		s.node.Connected = false
		f.dirty[id] = s
	}
	clear(f.sessions)
	f.mu.Unlock()
	f.flush(ctx)
}

func (f *Fleet) streams() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live
}

// flush 写下所有待写的；失败则放回，下一个节拍再写。
func (f *Fleet) flush(ctx context.Context) {
	taken, reports := f.take(time.Now())
	if len(reports) == 0 {
		return
	}
	saveCtx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	holds, err := f.deps.Store.SaveNodes(saveCtx, f.cfg.Replica, reports)
	if err != nil {
		f.putBack(taken)
		if f.failures.due(time.Now()) {
			f.deps.Log.Error("cannot save node states; keeping them in memory", zap.Int("nodes", len(reports)), zap.Error(err))
		}
		return
	}
	if f.failures.over() {
		f.deps.Log.Info("node states are saved again")
	}
	f.settle(taken, holds, time.Now())
}

func (f *Fleet) take(now time.Time) (map[string]*session, []Report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.dirty
	f.dirty = make(map[string]*session)
	reports := make([]Report, 0, len(taken))
	for _, id := range sortedKeys(taken) {
		s := taken[id]
		reports = append(reports, Report{Node: s.node, Session: s.id, Silent: max(now.Sub(s.heard), 0)})
	}
	return taken, reports
}

// putBack 放回没写成的；其间有了更新的变化则以新的为准。
func (f *Fleet) putBack(taken map[string]*session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, s := range taken {
		if f.dirty[id] == nil {
			f.dirty[id] = s
		}
	}
}

// settle 按数据库的回答：送出退出的要求；一行长久归别的流则关掉这条。
// 一次不归它还不算数：节点刚从别的副本搬来而两处的钟不齐时，原主写下断开之前都会如此。
func (f *Fleet) settle(taken map[string]*session, holds []Hold, now time.Time) {
	held := make(map[uint64]Hold, len(holds))
	for _, h := range holds {
		held[h.Session] = h
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, s := range taken {
		if f.sessions[id] != s {
			continue
		}
		h, ours := held[s.id]
		switch {
		case ours:
			s.refusedSince = time.Time{}
			if h.Drain {
				s.requestDrain()
			}
		case s.refusedSince.IsZero():
			s.refusedSince = now
		case now.Sub(s.refusedSince) > f.cfg.Takeover:
			s.close(vegaerr.New(vegaerr.Conflict, "replaced", "another replica holds a newer stream of node %q", id))
		}
	}
}
