package live

import (
	"fmt"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/push"
)

func nodeProblems(s State) (out []Problem) {
	if connected(s.Nodes) == 0 {
		out = append(out, Problem{Kind: NoNodes, Severity: Error, Detail: "no data plane node is connected; requests cannot be served"})
	}
	for _, n := range s.Nodes {
		out = append(out, aboutNode(s, n)...)
	}
	return out
}

func connected(nodes []push.Node) (count int) {
	for _, n := range nodes {
		if n.Connected {
			count++
		}
	}
	return count
}

func aboutNode(s State, n push.Node) (out []Problem) {
	add := func(k Kind, sev Severity, value *float64, format string, args ...any) {
		out = append(out, Problem{Kind: k, Severity: sev, Node: n.ID, Value: value, Detail: fmt.Sprintf("node %s ", n.ID) + fmt.Sprintf(format, args...)})
	}
	if !n.Connected {
		if !n.Draining || n.Unreported > 0 { // 奉命退出而账都交清了的，没有什么不对
			add(NodeAway, Warning, nil, "is not connected; last seen %s", n.LastSeen.UTC().Format(time.RFC3339))
		}
		return out
	}
	switch {
	case n.AppliedRevision == s.Head:
	case n.RejectedRevision == s.Head && s.Head != 0:
		add(NodeRejected, Error, nil, "rejected revision %d and stays at %d: %s", s.Head, n.AppliedRevision, n.RejectedReason)
	case s.Now.Sub(s.Since) > behindGrace && s.Now.Sub(n.ConnectedAt) > behindGrace:
		add(NodeBehind, Warning, number(float64(s.Head)-float64(n.AppliedRevision)), "is at revision %d, the head is %d", n.AppliedRevision, s.Head)
	}
	if j := n.Journal; j != nil && !j.Durable {
		add(NodeJournal, Warning, number(float64(j.Unjournalled)), "does not write usage records to disk: %s", j.Trouble)
	}
	return out
}

// ejection 是一个目标被几个节点摘出，最晚到何时。
type ejection struct {
	nodes  int
	reason string
	until  time.Time
}

type target struct{ server, upstream string }

func targetProblems(s State) (out []Problem) {
	ejected := map[target]ejection{}
	for _, n := range s.Nodes {
		if !n.Connected {
			continue
		}
		for _, e := range n.Ejections {
			t := target{e.Server, e.UpstreamModel}
			was := ejected[t]
			was.nodes++
			if was.reason == "" || e.Until.After(was.until) {
				was.reason, was.until = e.Reason, e.Until
			}
			ejected[t] = was
		}
	}
	all := connected(s.Nodes)
	for t, e := range ejected {
		p := Problem{Kind: TargetEjected, Severity: Warning, Server: t.server, UpstreamModel: t.upstream, Until: e.until, Nodes: e.nodes,
			Detail: fmt.Sprintf("%s on server %s is taken out by %d of %d nodes: %s", t.upstream, t.server, e.nodes, all, e.reason)}
		if e.nodes == all {
			p.Severity = Error
		}
		out = append(out, p)
	}
	return out
}

func queueProblems(s State) (out []Problem) {
	if s.Queues == nil {
		return []Problem{{Kind: NoLeader, Severity: Error, Detail: s.NoLeader}}
	}
	for _, q := range s.Queues.Rows {
		for _, p := range q.Paused {
			out = append(out, Problem{Kind: TargetPaused, Severity: Warning, Server: q.Server, UpstreamModel: p.UpstreamModel, Until: p.Until.Truncate(time.Second),
				Detail: fmt.Sprintf("the upstream asked to pause %s on server %s", p.UpstreamModel, q.Server)})
		}
		if server := s.Servers[q.Server]; server != nil {
			out = append(out, crowded(q, server)...)
		}
	}
	return out
}

// crowded 看估计的等待与时限、等着的与能等的；后来的要等多久，就是队里最久的还要等多久。
func crowded(q admission.Queue, server *catalog.Server) []Problem {
	if q.Waiting == 0 {
		return nil
	}
	var wait, full float64
	if limit := time.Duration(server.Queue.TimeoutMS) * time.Millisecond; limit > 0 && q.EstimatedWait > 0 {
		wait = float64(q.EstimatedWait) / float64(limit)
	}
	if limit := server.Queue.MaxWaiting; limit > 0 {
		full = float64(q.Waiting) / float64(limit)
	}
	if wait <= longWait && full < nearlyFull {
		return nil
	}
	p := Problem{Kind: ServerQueue, Severity: Warning, Server: q.Server, Value: number(floor6(max(wait, full))),
		Detail: fmt.Sprintf("%d requests wait for server %s, which takes at most %d for at most %d s", q.Waiting, q.Server, server.Queue.MaxWaiting, server.Queue.TimeoutMS/1000)}
	if wait >= 1 || full >= 1 {
		p.Severity = Error
	}
	return []Problem{p}
}
