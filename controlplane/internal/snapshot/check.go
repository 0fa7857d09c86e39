package snapshot

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Check 以两个平面共用的规则检查 c。有毛病是 vegaerr.Invalid，逐处列出，路径以名字为下标；
// catalog.Document.Relocate 可把它们改写成调用者文档里的下标。
func Check(c *catalog.Catalog) error {
	s := Build(c, nil)
	found := ruleset.Check(s)
	if len(found) == 0 {
		return nil
	}
	list := make([]catalog.Finding, 0, len(found))
	for _, p := range found {
		ref := refAt(s, p.Kind, p.Index)
		list = append(list, catalog.Finding{Ref: ref, Field: fieldOf(s, p), Message: byName(s, p.Message)})
	}
	return catalog.Reject(vegaerr.Invalid, "", "the configuration would be invalid", list)
}

// refAt 把快照里的位置变回对象；快照的次序是 Build 定的，因此总能对上。
func refAt(s *configv1.Snapshot, kind ruleset.Kind, i int) catalog.Ref {
	switch kind {
	case ruleset.KindServer:
		return catalog.Ref{Kind: catalog.KindServer, Name: s.GetServers()[i].GetName()}
	case ruleset.KindModel:
		return catalog.Ref{Kind: catalog.KindModel, Name: s.GetModels()[i].GetName()}
	case ruleset.KindApp:
		return catalog.Ref{Kind: catalog.KindApp, Name: s.GetApps()[i].GetName()}
	}
	k := s.GetKeys()[i]
	return catalog.Ref{Kind: catalog.KindKey, Name: k.GetApp(), Key: k.GetName()}
}

var headerField = regexp.MustCompile(`^headers\[(\d+)\]`)

// fieldOf 把快照里的字段路径变成文档里的：头部在文档里是对象，不是列表。
func fieldOf(s *configv1.Snapshot, p ruleset.Problem) string {
	m := headerField.FindStringSubmatch(p.Field)
	if p.Kind != ruleset.KindServer || m == nil {
		return p.Field
	}
	i, err := strconv.Atoi(m[1])
	headers := s.GetServers()[p.Index].GetHeaders()
	if err != nil || i >= len(headers) {
		return p.Field
	}
	return "headers." + headers[i].GetName()
}

var itemInText = regexp.MustCompile(`\b(server|model|app|key)s\[(\d+)\]`)

// byName 把文本里的快照位置换成名字：调用者没见过快照。
func byName(s *configv1.Snapshot, message string) string {
	return itemInText.ReplaceAllStringFunc(message, func(at string) string {
		m := itemInText.FindStringSubmatch(at)
		i, err := strconv.Atoi(m[2])
		size := map[string]int{"server": len(s.GetServers()), "model": len(s.GetModels()), "app": len(s.GetApps()), "key": len(s.GetKeys())}[m[1]]
		if err != nil || i >= size {
			return at
		}
		ref := refAt(s, ruleset.Kind(m[1]), i)
		return strings.TrimSpace(m[1] + " " + strconv.Quote(strings.TrimSuffix(ref.Name+"/"+ref.Key, "/")))
	})
}
