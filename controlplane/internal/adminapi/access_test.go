package adminapi

import (
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	contract "github.com/vega-gateway/vega/proto/openapi"
)

func TestStrict_FindsEveryRouteWithoutAGuard(t *testing.T) {
	spec, err := openapi3.NewLoader().LoadFromData(contract.Admin())
	if err != nil {
		t.Fatal(err)
	}
	operations := 0
	for _, item := range spec.Paths.Map() {
		operations += len(item.Operations())
	}
	s := &strict{Echo: echo.New()}
	openapi.RegisterHandlersWithOptions(s, &api{}, openapi.RegisterHandlersOptions{BaseURL: basePath})
	if len(s.open) != operations || !slices.Contains(s.open, "PUT /api/v1/config") {
		t.Errorf("%d of %d operations found: %v", len(s.open), operations, s.open)
	}
	if len(s.Routes()) != operations {
		t.Errorf("%d routes for %d operations: some method is not checked", len(s.Routes()), operations)
	}
}

func TestAccess_EveryWriteHasANameInTheAuditAndNoReadHas(t *testing.T) {
	spec, err := openapi3.NewLoader().LoadFromData(contract.Admin())
	if err != nil {
		t.Fatal(err)
	}
	table := accessTable()
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			rule, ok := table[op.OperationID]
			if !ok {
				t.Errorf("%s %s has no rule", method, path)
				continue
			}
			writes := method != "GET" && !slices.Contains(op.Tags, "usage") // 对账是带着账单来问，什么也不写
			if wants := writes && !rule.public; wants != (rule.action != "") {
				t.Errorf("%s %s: action %q", method, path, rule.action)
			}
			if rule.action != "" && strings.Count(rule.action, ".") != 1 {
				t.Errorf("%s %s: action %q is not object.verb", method, path, rule.action)
			}
			if open := op.Security != nil && len(*op.Security) == 0; open != rule.public {
				t.Errorf("%s %s: public is %v, the contract says %v", method, path, rule.public, open)
			}
			if rule.public && rule.need.Role != "" {
				t.Errorf("%s %s is public and needs a role", method, path)
			}
		}
	}
}
