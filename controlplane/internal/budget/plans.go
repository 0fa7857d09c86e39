package budget

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/snapshot"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

// Plans 列出 c 里有预算的 app，按名字升序。
func Plans(c *catalog.Catalog) []Plan { return plansOf(snapshot.Apps(c)) }

// plansIn 列出一版推给节点的配置里有预算的 app。
func plansIn(u *configv1.SnapshotUpdate) ([]Plan, error) {
	raw, err := snapshot.Decode(u)
	if err != nil {
		return nil, err
	}
	var s configv1.Snapshot
	if err := proto.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("decode snapshot: %w", err)
	}
	return plansOf(s.GetApps()), nil
}

func plansOf(apps []*configv1.App) []Plan {
	list := []Plan{}
	for _, a := range apps {
		b := a.GetBudget()
		zone, ok := ruleset.TimeZone(b.GetTimeZone())
		if b == nil || !ok { // 不认得的时区过不了检查
			continue
		}
		list = append(list, Plan{
			App: a.GetName(), Limit: Spend{Nano: b.GetAmountNano(), Tokens: b.GetTokens()},
			Period: b.GetPeriod(), Zone: zone, SoftPercent: b.GetSoftPercent(),
		})
	}
	slices.SortFunc(list, func(a, b Plan) int { return strings.Compare(a.App, b.App) })
	return list
}
