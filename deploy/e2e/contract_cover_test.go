package e2e

import (
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
)

// operation 是文件里的一个操作。
type operation struct {
	id, method, template string
	op                   *openapi3.Operation
}

// open 说它不必认人。
func (o operation) open() bool { return o.op.Security != nil && len(*o.op.Security) == 0 }

func (c *contract) operations() []operation {
	var out []operation
	for template, item := range c.spec.Paths.Map() {
		for method, op := range item.Operations() {
			out = append(out, operation{op.OperationID, method, template, op})
		}
	}
	slices.SortFunc(out, func(a, b operation) int { return strings.Compare(a.id, b.id) })
	return out
}

// complete 要求文件里的每个操作都成功过一次，并说出哪些写明的状态没有见到。
func (c *contract) complete() {
	c.t.Helper()
	for _, o := range c.operations() {
		var unseen []string
		for status := range o.op.Responses.Map() {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(c.seen[o.id])), func(n int) bool { return status == "default" || status == statusText(n) }) {
				unseen = append(unseen, status)
			}
		}
		slices.Sort(unseen)
		if !slices.ContainsFunc(slices.Collect(maps.Keys(c.seen[o.id])), func(n int) bool { return n < 400 }) {
			c.t.Errorf("%s (%s %s) never succeeded", o.id, o.method, o.template)
		}
		c.t.Logf("%-22s saw %v; documented but not provoked: %v", o.id, slices.Sorted(maps.Keys(c.seen[o.id])), unseen)
	}
}

// onlyDocumentedMethods 对每个路径试文件里没有的方法：405、Allow 恰好是文件里的那些、正文合乎 schema。
func (c *contract) onlyDocumentedMethods(schema, media string) {
	c.t.Helper()
	for template, item := range c.spec.Paths.Map() {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if item.GetOperation(method) != nil {
				continue
			}
			a := c.roundTrip(c.request(sent{method: method, path: fillPath(template)}))
			c.checkError(method+" "+template, a, http.StatusMethodNotAllowed, schema, media)
			for documented := range item.Operations() {
				if !strings.Contains(a.header.Get("Allow"), documented) {
					c.t.Errorf("%s %s: Allow %q lacks %s", method, template, a.header.Get("Allow"), documented)
				}
			}
		}
	}
}

// checkError 检查一个不属于任何操作的错误应答。
func (c *contract) checkError(what string, a answer, status int, schema, media string) {
	c.t.Helper()
	if a.status != status {
		c.t.Errorf("%s: status %d, want %d: %.200s", what, a.status, status, a.body)
		return
	}
	if got, _, _ := mime.ParseMediaType(a.header.Get("Content-Type")); got != media {
		c.t.Errorf("%s: Content-Type %q, want %q", what, got, media)
	}
	v, err := openapi3filter.JSONBodyDecoder(strings.NewReader(a.body), nil, nil, nil)
	if err == nil {
		err = c.spec.Components.Schemas[schema].Value.VisitJSON(v)
	}
	if err != nil {
		c.t.Errorf("%s: %v\n%.300s", what, err, a.body)
	}
}

// preflights 要求每个路径都肯给浏览器预检，且应答许可任何来源。
func (c *contract) preflights() {
	c.t.Helper()
	for template, item := range c.spec.Paths.Map() {
		for method := range item.Operations() {
			req := c.request(sent{method: http.MethodOptions, path: fillPath(template), header: []string{"Origin", "https://app.example.com",
				"Access-Control-Request-Method", method, "Access-Control-Request-Headers", "authorization, x-stainless-os"}})
			req.Header.Del("Authorization")
			a := c.roundTrip(req)
			if a.status/100 != 2 || a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), method) ||
				!strings.Contains(strings.ToLower(a.header.Get("Access-Control-Allow-Headers")), "x-stainless-os") || a.header.Get("Access-Control-Allow-Credentials") != "" {
				c.t.Errorf("preflight of %s %s: %d %v", method, template, a.status, a.header)
			}
		}
	}
}

// fillPath 给模板的每个参数一个合法的值。
func fillPath(template string) string {
	return strings.NewReplacer("{revision}", "1", "{name}", "nothing", "{id}", "00000000-0000-4000-8000-000000000000", "{key}", "nothing", "{model}", "nothing", "{rest}", "a/b").Replace(template)
}

func statusText(n int) string { return strconv.Itoa(n) }
