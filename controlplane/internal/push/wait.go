package push

import (
	"context"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// WaitApplied 等到每个连着的节点（在任一副本上）都确认了不低于 revision 的版本；有一个拒绝就立刻回答，
// 到 timeout 则把其余列为 Pending；其间离开的节点不再等，也不在名单里。没有节点连着时立刻回答。
// 数据库始终读不到、或本副本要停，为 vegaerr.Unavailable；ctx 结束返回它的错误。
func (f *Fleet) WaitApplied(ctx context.Context, revision uint64, timeout time.Duration) (Outcome, error) {
	waitCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	poll := time.NewTicker(f.cfg.WaitPoll)
	defer poll.Stop()

	table, err := f.deps.Store.ListNodes(waitCtx)
	for {
		local, changed := f.local()
		out := judge(table, local, revision)
		if f.isStopping() {
			return Outcome{}, errStopping() // 流已经收掉：没有人可等不等于人人都换上了
		}
		if err == nil && (len(out.Pending) == 0 || len(out.Rejected) > 0) {
			return out, nil
		}
		select {
		case <-waitCtx.Done():
			if ctx.Err() != nil {
				return Outcome{}, ctx.Err()
			}
			if err != nil {
				return Outcome{}, vegaerr.Wrap(err, vegaerr.Unavailable, "", "node states cannot be read now")
			}
			return out, nil
		case <-f.stopping:
			return Outcome{}, errStopping()
		case <-changed:
			continue
		case <-poll.C:
		}
		fresh, listErr := f.deps.Store.ListNodes(waitCtx)
		switch {
		case listErr == nil:
			table, err = fresh, nil
		case waitCtx.Err() == nil:
			err = listErr
		}
	}
}

// judge 以表为底、以本副本内存里更新的状态为准，把连着的节点分成三类。节点已经搬去别的副本、
// 而这里的旧流还没有察觉时，表里那条更晚建立的流才算数：规则与 SaveNodes 的相同。
func judge(table []Node, local map[string]Node, revision uint64) Outcome {
	nodes := make(map[string]Node, len(table)+len(local))
	for _, n := range table {
		if n.Connected {
			nodes[n.ID] = n
		}
	}
	for id, n := range local {
		if held, ok := nodes[id]; !ok || !held.ConnectedAt.After(n.ConnectedAt) {
			nodes[id] = n
		}
	}
	var out Outcome
	for _, id := range sortedKeys(nodes) {
		n := nodes[id]
		switch {
		case n.AppliedRevision >= revision:
			out.Applied = append(out.Applied, id)
		case n.RejectedRevision >= revision:
			out.Rejected = append(out.Rejected, Rejection{Node: id, Error: DescribeError(n.RejectedRevision, n.RejectedReason, "")})
		default:
			out.Pending = append(out.Pending, id)
		}
	}
	return out
}
