package adminapi

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
)

// access 是一个操作要什么，与它在审计里的名字。
type access struct {
	need identity.Need
	// public 的不必认人。
	public bool
	// passive 的不算会话的活动：开着页面不是有人在用，断了自己重连也不是。
	passive bool
	// action 是审计里的动作；只读的没有。
	action string
}

// accessTable 由契约里的 operationId 说谁可以做什么。不在表里的操作谁也不许做，而且起不来：见 strict。
func accessTable() map[string]access {
	read := func(s identity.Scope) access { return access{need: identity.Need{Role: identity.Viewer, Scope: s}} }
	write := func(s identity.Scope, action string) access {
		return access{need: identity.Need{Role: identity.Operator, Scope: s}, action: action}
	}
	admin := func(s identity.Scope, action string) access {
		return access{need: identity.Need{Role: identity.Admin, Scope: s}, action: action}
	}
	// 自己的：人人都行，令牌要有范围。
	own := func(s identity.Scope, action string) access {
		return access{need: identity.Need{Role: identity.Viewer, Scope: s}, action: action}
	}
	fresh := func(action string) access {
		return access{need: identity.Need{Role: identity.Viewer, Fresh: true}, action: action}
	}
	return map[string]access{
		"getConfig": read(identity.ConfigRead), "putConfig": write(identity.ConfigWrite, "config.apply"),
		"listServers": read(identity.ConfigRead), "createServer": write(identity.ConfigWrite, "server.create"),
		"getServer": read(identity.ConfigRead), "putServer": write(identity.ConfigWrite, "server.update"),
		"deleteServer": write(identity.ConfigWrite, "server.delete"), "testServer": write(identity.ConfigWrite, "server.test"),
		"listModels": read(identity.ConfigRead), "createModel": write(identity.ConfigWrite, "model.create"),
		"getModel": read(identity.ConfigRead), "putModel": write(identity.ConfigWrite, "model.update"),
		"deleteModel": write(identity.ConfigWrite, "model.delete"),
		"listApps":    read(identity.ConfigRead), "createApp": write(identity.ConfigWrite, "app.create"),
		"getApp": read(identity.ConfigRead), "putApp": write(identity.ConfigWrite, "app.update"),
		"deleteApp": write(identity.ConfigWrite, "app.delete"),
		"listKeys":  read(identity.ConfigRead), "createKey": write(identity.ConfigWrite, "key.create"),
		"putKey": write(identity.ConfigWrite, "key.update"), "rotateKey": write(identity.ConfigWrite, "key.rotate"),
		"deleteKey":     write(identity.ConfigWrite, "key.revoke"),
		"listRevisions": read(identity.ConfigRead), "getRevision": read(identity.ConfigRead), "diffRevisions": read(identity.ConfigRead),
		"rollback":    write(identity.ConfigWrite, "config.rollback"),
		"getSettings": read(identity.ConfigRead), "putSettings": admin(identity.ConfigWrite, "settings.update"),

		"getAbout": read(identity.FleetRead), "getOverview": read(identity.FleetRead), "streamEvents": streamRule(), "explain": read(identity.FleetRead),
		"listNodes": read(identity.FleetRead), "listQueues": read(identity.FleetRead),
		"forgetNode": write(identity.FleetWrite, "node.forget"), "drainNode": write(identity.FleetWrite, "node.drain"),

		"getUsage": read(identity.UsageRead), "reconcileUsage": read(identity.UsageRead),
		"listRequests": read(identity.UsageRead), "getRequest": read(identity.UsageRead),
		"listBudgets": read(identity.UsageRead), "getAppBudget": read(identity.UsageRead),

		"getAuthMethods": {public: true}, "beginOidc": {public: true}, "finishOidc": {public: true}, "openSession": {public: true},
		"getSession": fresh(""), "closeSession": fresh("session.close"), "putPassword": fresh("operator.password"),
		"listSessions": own(identity.IdentityRead, ""), "endSession": own(identity.IdentityWrite, "session.end"),
		"endOtherSessions": own(identity.IdentityWrite, "session.end"),
		"listTokens":       own(identity.IdentityRead, ""), "createToken": own(identity.IdentityWrite, "token.create"),
		"revokeToken":   own(identity.IdentityWrite, "token.revoke"),
		"listOperators": admin(identity.IdentityRead, ""), "createOperator": admin(identity.IdentityWrite, "operator.create"),
		"getOperator": admin(identity.IdentityRead, ""), "putOperator": admin(identity.IdentityWrite, "operator.update"),
		"deleteOperator": admin(identity.IdentityWrite, "operator.delete"),
		"resetPassword":  admin(identity.IdentityWrite, "operator.reset_password"),
		"listAudit":      admin(identity.AuditRead, ""),
	}
}

// streamRule 另有一处要用：流开着的时候不时重看一遍。
func streamRule() access {
	return access{need: identity.Need{Role: identity.Viewer, Scope: identity.FleetRead}, passive: true}
}

// strict 登记路由，而不放过没有守卫的：生成的代码对表里没有的操作不带中间件。
type strict struct {
	*echo.Echo
	open []string
}

func (s *strict) check(method, path string, m []echo.MiddlewareFunc) {
	if len(m) == 0 {
		s.open = append(s.open, method+" "+path)
	}
}

// GET 见 strict；以下相同。
func (s *strict) GET(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	s.check("GET", path, m)
	return s.Echo.GET(path, h, m...)
}

// POST 见 strict。
func (s *strict) POST(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	s.check("POST", path, m)
	return s.Echo.POST(path, h, m...)
}

// PUT 见 strict。
func (s *strict) PUT(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	s.check("PUT", path, m)
	return s.Echo.PUT(path, h, m...)
}

// PATCH 见 strict。
func (s *strict) PATCH(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	s.check("PATCH", path, m)
	return s.Echo.PATCH(path, h, m...)
}

// DELETE 见 strict。
func (s *strict) DELETE(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	s.check("DELETE", path, m)
	return s.Echo.DELETE(path, h, m...)
}

// register 给每条路由装上它的守卫；有一条没有就是错误。
func (a *api) register(e *echo.Echo) error {
	table := accessTable()
	guards := make(map[string][]echo.MiddlewareFunc, len(table))
	for _, id := range slices.Sorted(maps.Keys(table)) {
		guards[id] = []echo.MiddlewareFunc{a.guard(table[id])}
	}
	s := &strict{Echo: e}
	openapi.RegisterHandlersWithOptions(s, a, openapi.RegisterHandlersOptions{BaseURL: basePath, OperationMiddlewares: guards})
	if len(s.open) > 0 {
		return errors.New("adminapi: routes without an access rule: " + strings.Join(s.open, ", "))
	}
	return nil
}
