package admission

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/push"
)

const (
	refreshTimeout = 5 * time.Second
	refreshEvery   = time.Second
)

// follow 把 Hub 的每一个新版本变成限额，交给正在当的任期。
func (h *Host) follow(ctx context.Context) {
	sub := h.deps.Hub.Subscribe()
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case head := <-sub.C():
			h.adopt(head)
		}
	}
}

func (h *Host) adopt(head *push.Head) {
	spec, err := specOf(head.Update)
	if err != nil {
		h.deps.Log.Error("cannot read the limits of a revision; keeping the last ones",
			zap.Uint64("revision", head.Update.GetRevision()), zap.Error(err))
		return
	}
	h.mu.Lock()
	began, r := h.spec == nil, h.reign
	h.spec = spec
	h.mu.Unlock()
	if began {
		close(h.first)
	}
	if r != nil {
		r.post(func() { r.reconfigure(spec) })
	}
}

// wantNewer 记下节点在用更新的版本；从不等待。
func (h *Host) wantNewer(revision uint64) {
	select {
	case h.newer <- revision:
	default:
	}
}

// catchUp 向数据库求证节点说的更新的版本，至多每秒一次：数据库回到过去之后，节点会一直比它新。
func (h *Host) catchUp(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case revision := <-h.newer:
			refreshCtx, cancel := context.WithTimeout(ctx, refreshTimeout)
			// 求证不成不必说：Reloader 自己会记，节点下一帧会再提。
			_ = h.deps.Refresher.Refresh(refreshCtx, revision)
			cancel()
		}
		if !sleep(ctx, refreshEvery) {
			return
		}
	}
}
