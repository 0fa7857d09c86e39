package reconcile

import (
	"maps"
	"slices"
	"strings"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
)

// names 把上游模型名并成组：一个公开模型在同一 server 上去几个上游模型时，我们的合计分不开，它们只能一起比。
type names struct {
	parent map[string]string
}

func newNames() *names { return &names{parent: map[string]string{}} }

// root 是 name 所在组的代表。
func (n *names) root(name string) string {
	p, ok := n.parent[name]
	if !ok {
		n.parent[name] = name
		return name
	}
	if p == name {
		return name
	}
	r := n.root(p)
	n.parent[name] = r
	return r
}

// join 把 list 并成一组；list 不空。
func (n *names) join(list []string) {
	first := n.root(list[0])
	for _, name := range list[1:] {
		n.parent[n.root(name)] = first
	}
}

// labels 由每个名字到它那一组的写法：组里的名字升序，以 " + " 相连。
func (n *names) labels() map[string]string {
	members := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(n.parent)) {
		r := n.root(name)
		members[r] = append(members[r], name)
	}
	out := map[string]string{}
	for _, list := range members {
		for _, name := range list {
			out[name] = strings.Join(list, " + ")
		}
	}
	return out
}

// upstreams 是公开模型 served 在 server 上的上游模型名，升序；配置里（已经）没有的，就是公开名自己。
func upstreams(c *catalog.Catalog, server, served string) []string {
	var out []string
	if m := c.Models[served]; m != nil {
		for _, t := range m.Targets {
			if t.Server == server {
				out = append(out, t.UpstreamModel)
			}
		}
	}
	if len(out) == 0 {
		return []string{served}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
