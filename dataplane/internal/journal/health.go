package journal

import (
	"errors"

	"github.com/vega-gateway/vega/dataplane/internal/segments"
)

// Health 是记录此刻落在哪里。
type Health struct {
	Durable      bool   // 新的记录写在盘上
	Trouble      string // 不在盘上的缘由，英文一行；Durable 时为空
	Bytes        int64  // 盘上占的字节
	Unjournalled int64  // 这一次运行里只进了内存的请求数
	Waiting      int64  // 结局写不进盘、等着写的记录数
	Replayed     int64  // 启动时由重放补上的请求数
	Damaged      int64  // 读不出来的段数，连同启动时
	Quarantined  int64  // 启动时认不出、留着不动的文件数
	Syncs        int64
	SyncFailures int64
	Refused      int64 // 盘拒绝过的帧数
}

// Health 返回此刻的状况。
func (j *Journal) Health() Health {
	h := Health{Trouble: j.trouble, Unjournalled: j.unjournalled.Load()}
	if j.disk == nil {
		return h
	}
	st := j.disk.log.Stats()
	h.Bytes, h.Syncs, h.SyncFailures, h.Quarantined = st.Bytes, st.Syncs, st.SyncFailures, int64(st.Ignored)
	h.Waiting = int64(j.disk.waiting())
	d := j.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	h.Replayed, h.Damaged, h.Refused = d.boot.replayed, d.boot.damaged, d.refused
	if h.Durable = d.trouble == nil; !h.Durable {
		if h.Trouble = d.trouble.Error(); errors.Is(d.trouble, segments.ErrDegraded) && st.Problem != "" {
			h.Trouble += ": " + st.Problem
		}
	}
	return h
}
