package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/vega-gateway/vega/deploy/stack"
	"github.com/vega-gateway/vega/proto/openapi"
)

// TestContract_Admin 把 admin.yaml 的每个操作在真的控制面上走一遍，连同每个操作能引出的错误。
func TestContract_Admin(t *testing.T) {
	issuer := newIssuer(t)
	r := start(t, stack.Options{Nodes: 1, ControlplaneEnv: issuer.env()})
	c := newContract(t, openapi.Admin(), r.Admin.URL+"/api/v1", r.Admin.Token)
	t.Run("identity", func(t *testing.T) { c.t = t; adminIdentity(c, r, issuer) })
	for name, part := range map[string]func(*contract, *rig){"objects": adminObjects, "keys": adminKeys, "config": adminConfig, "usage": adminUsage, "books": adminBooks, "live": adminLive, "explain": adminExplain} {
		t.Run(name, func(t *testing.T) { c.t = t; part(c, r) })
	}
	t.Run("documented defaults", func(t *testing.T) { c.t = t; adminDefaults(c) })
	t.Run("revisions", func(t *testing.T) { c.t = t; adminRevisions(c) })
	t.Run("nodes", func(t *testing.T) { c.t = t; adminNodes(c, r) })
	t.Run("without a token", func(t *testing.T) {
		for _, o := range c.operations() {
			if o.open() {
				continue
			}
			c.t = t
			a := c.send(sent{method: o.method, path: fillPath(o.template), header: []string{"Authorization", "Bearer nonsense"}, invalid: true, want: 401})
			if a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: 401 without WWW-Authenticate", o.id)
			}
		}
	})
	t.Run("methods", func(t *testing.T) { c.t = t; c.onlyDocumentedMethods("Problem", "application/problem+json") })
	t.Run("unknown paths", func(t *testing.T) {
		c.t = t
		for _, path := range []string{"", "/", "/unknown", "/servers/a/b/c"} {
			c.checkError(path, c.roundTrip(c.request(sent{method: "GET", path: path})), 404, "Problem", "application/problem+json")
		}
	})
	c.t = t
	c.complete()
}

// TestContract_AdminWithoutADatabase 要求每个操作在数据库不在时仍只给写明的状态，读写数据库的是 503。
func TestContract_AdminWithoutADatabase(t *testing.T) {
	pg, opt := scratchDatabase(t)
	r := start(t, opt)
	c := newContract(t, openapi.Admin(), r.Admin.URL+"/api/v1", r.Admin.Token)
	pg.Kill()
	bodies := map[string]string{
		"putConfig": `{}`, "createServer": validServer("s"), "putServer": validServer("nothing"), "createModel": `{"name":"m"}`, "putModel": `{"name":"nothing"}`,
		"createApp": `{"name":"a"}`, "putApp": `{"name":"nothing"}`, "createKey": `{"name":"k"}`, "putSettings": `{}`,
		"reconcileUsage": "day,model,cost\n2026-11-01,m,1\n",
		"putKey":         `{"expires_at":null}`, "rotateKey": `{"name":"k2"}`, "openSession": `{"name":"admin","password":"x"}`, "putPassword": `{"current_password":"x","new_password":"y"}`,
		"createOperator": `{"name":"a","role":"viewer"}`, "putOperator": `{"role":"viewer","enabled":true}`, "createToken": `{"name":"t","role":"viewer"}`,
	}
	// 引导令牌不在数据库里，凭它问的这几样也不在：该怎么答就怎么答。
	apart := map[string]int{"getAuthMethods": 200, "beginOidc": 404, "finishOidc": 404, "getSession": 200, "closeSession": 409, "putPassword": 409, "endOtherSessions": 204}
	// 引导令牌没有自己的会话与令牌，问所有人的才要读库。
	queries := map[string]string{"explain": "?app=team-a&model=chat", "listSessions": "?all=true", "listTokens": "?all=true"}
	for _, o := range c.operations() {
		if o.id == "listQueues" || o.id == "streamEvents" { // 前者等任期走完；后者留着上一份，不断
			continue
		}
		if want, ok := apart[o.id]; ok {
			c.send(sent{method: o.method, path: fillPath(o.template), body: bodies[o.id], want: want})
			continue
		}
		began := time.Now()
		media := ""
		if o.id == "reconcileUsage" {
			media = csvMedia
		}
		a := c.send(sent{method: o.method, path: fillPath(o.template) + queries[o.id], body: bodies[o.id], media: media, want: http.StatusServiceUnavailable})
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: 503 without Retry-After", o.id)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("%s: took %s to say so", o.id, took)
		}
	}
	eventually(t, 15*time.Second, "listQueues says that nobody may grant once the leader's term has run out", func() bool {
		a := c.send(sent{method: "GET", path: "/queues"})
		return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != ""
	})
}

func validServer(name string) string {
	return fmt.Sprintf(`{"name":%q,"base_url":"http://127.0.0.1:1/v1","api_key":"sk-hidden-credential"}`, name)
}

// adminObjects 走完 servers、models、apps：建、取、列、换、旧版本、冲突、删。
func adminObjects(c *contract, r *rig) {
	for _, k := range []struct{ path, name, body, bad string }{
		{"/servers", "gpu-9", validServer("gpu-9"), `{"name":"gpu-9","base_url":"ftp://x"}`},
		{"/models", "org/model nine", `{"name":"org/model nine","targets":[{"server":"gpu-9","upstream_model":"m"}]}`, `{"name":"org/model nine","targets":[{"server":"ghost","upstream_model":"m"}]}`},
		{"/apps", "app-9", `{"name":"app-9","weight":2,"budget":{"amount":12.5,"time_zone":"Asia/Shanghai"},"keys":[{"name":"first"}]}`, `{"name":"app-9","class":"royal"}`},
	} {
		one := k.path + "/" + stack.Escape(k.name)
		made := c.send(sent{method: "POST", path: k.path, body: k.body, want: 201})
		c.noSecret(made)
		c.send(sent{method: "POST", path: k.path, body: k.body, want: 409})
		c.send(sent{method: "POST", path: k.path, body: strings.Replace(k.bad, k.name, "fresh", 1), invalid: true, want: 400})
		c.send(sent{method: "POST", path: k.path, body: `{"name":`, invalid: true, want: 400})
		c.send(sent{method: "GET", path: k.path, want: 200})
		got := c.send(sent{method: "GET", path: one, want: 200})
		c.noSecret(got)
		if at := c.send(sent{method: "GET", path: strings.TrimPrefix(made.header.Get("Location"), "/api/v1"), want: 200}); at.body != got.body {
			c.t.Errorf("%s: Location %q leads to %s", one, made.header.Get("Location"), at.body)
		}
		put := c.send(sent{method: "PUT", path: one + "?wait=true&note=again", body: got.body, header: []string{"If-Match", got.header.Get("ETag")}, want: 200})
		if put.header.Get("ETag") != got.header.Get("ETag") || put.header.Get("X-Vega-Rollout") == "" {
			c.t.Errorf("%s: putting back what was got gave %v", one, put.header)
		}
		c.send(sent{method: "PUT", path: one, body: got.body, header: []string{"If-Match", `"999999"`}, want: 412})
		c.send(sent{method: "PUT", path: one, body: k.bad, invalid: true, want: 400})
		c.send(sent{method: "PUT", path: one + "?dryrun=true", body: got.body, want: 400})
		c.send(sent{method: "PUT", path: k.path + "/nothing", body: strings.Replace(k.body, k.name, "nothing", 1), want: 404})
		c.send(sent{method: "GET", path: k.path + "/nothing", want: 404})
		c.send(sent{method: "DELETE", path: k.path + "/nothing", want: 404})
		if k.path == "/apps" {
			c.send(sent{method: "GET", path: one + "/budget", want: 200})
			c.send(sent{method: "GET", path: k.path + "/nothing/budget", want: 404})
			c.send(sent{method: "GET", path: "/budgets", want: 200})
		}
		c.send(sent{method: "DELETE", path: one, header: []string{"If-Match", `"999999"`}, want: 412})
	}
	if a := c.send(sent{method: "DELETE", path: "/servers/gpu-9", want: 409}); !strings.Contains(a.body, "org/model nine") {
		c.t.Errorf("the refusal does not say who refers to it: %s", a.body)
	}
	test := c.send(sent{method: "POST", path: "/servers/gpu-9/test", want: 200})
	if !strings.Contains(test.body, `"ok":false`) {
		c.t.Errorf("test of a dead server: %s", test.body)
	}
	if a := c.send(sent{method: "POST", path: "/servers/up/test", want: 200}); !strings.Contains(a.body, `"ok":true`) {
		c.t.Errorf("test of the upstream: %s", a.body)
	}
	c.send(sent{method: "POST", path: "/servers/nothing/test", want: 404})
	adminServerTest(c, r)
	huge := `{"name":"x","base_url":"http://x/v1","headers":{"A":"` + strings.Repeat("a", 65<<20) + `"}}`
	c.send(sent{method: "POST", path: "/servers", body: huge, invalid: true, want: 413})
	for _, path := range []string{"/models/org%2Fmodel%20nine", "/servers/gpu-9", "/apps/app-9"} {
		c.send(sent{method: "DELETE", path: path + "?wait=true", want: 204})
	}
}

// adminServerTest 试一次对话与一份没有保存的草稿。
func adminServerTest(c *contract, r *rig) {
	if a := c.send(sent{method: "POST", path: "/servers/up/test", body: `{"model":"fast?latency=0"}`, want: 200}); strings.Count(a.body, `"ok":true`) != 2 || !strings.Contains(a.body, `"usage_reported":true`) {
		c.t.Errorf("a chat with the upstream: %s", a.body)
	}
	draft := fmt.Sprintf(`{"model":"fast?latency=0","server":{"name":"unsaved","base_url":%q}}`, r.UpstreamURL)
	if a := c.send(sent{method: "POST", path: "/servers/unsaved/test", body: draft, want: 200}); !strings.Contains(a.body, `"chat":{`) {
		c.t.Errorf("a draft: %s", a.body)
	}
	c.send(sent{method: "GET", path: "/servers/unsaved", want: 404})
	if a := c.send(sent{method: "POST", path: "/servers/up/test", body: `{"server":{"name":"up","base_url":"ftp://x"}}`, want: 400}); !strings.Contains(a.body, `"server.base_url"`) {
		c.t.Errorf("a bad draft: %s", a.body)
	}
	c.send(sent{method: "POST", path: "/servers/up/test", body: `{"model":"` + strings.Repeat("m", 2<<20) + `"}`, want: 413})
}

// adminExplain 解释一次能去的、一次不许的。
func adminExplain(c *contract, _ *rig) {
	for query, want := range map[string]string{"?app=team-a&model=chat": `"code":""`, "?app=team-a&model=secret": `"code":"model_not_allowed"`} {
		if a := c.send(sent{method: "GET", path: "/explain" + query, want: 200}); !strings.Contains(a.body, want) {
			c.t.Errorf("%s: %s", query, a.body)
		}
	}
	c.send(sent{method: "GET", path: "/explain?app=nothing&model=chat", want: 404})
	c.send(sent{method: "GET", path: "/explain?app=team-a", invalid: true, want: 400})
}

func (c *contract) noSecret(a answer) {
	c.t.Helper()
	if strings.Contains(a.body, "sk-hidden-credential") {
		c.t.Errorf("an answer shows an upstream credential: %s", a.body)
	}
}

// adminDefaults 只写必填的字段：应答里的每个字段要么缺席，要么是文件写明的缺省值。
func adminDefaults(c *contract) {
	for _, k := range []struct{ path, body, schema string }{
		{"/servers", `{"name":"bare","base_url":"http://127.0.0.1:1/v1"}`, "Server"}, {"/models", `{"name":"bare","targets":[{"server":"bare"}]}`, "Model"}, {"/apps", `{"name":"bare"}`, "App"},
	} {
		a := c.send(sent{method: "POST", path: k.path, body: k.body, want: 201})
		var got map[string]any
		if err := json.Unmarshal([]byte(a.body), &got); err != nil {
			c.t.Fatalf("%v: %s", err, a.body)
		}
		c.sameDefaults(k.path, got, c.spec.Components.Schemas[k.schema].Value)
	}
	if a := c.send(sent{method: "GET", path: "/models/bare"}); a.status == 200 && !strings.Contains(a.body, `"upstream_model":"bare"`) {
		c.t.Errorf("an absent upstream_model is not the public name: %s", a.body)
	}
}

func (c *contract) sameDefaults(at string, got map[string]any, schema *openapi3.Schema) {
	c.t.Helper()
	for name, property := range schema.Properties {
		value, present := got[name]
		inner, isObject := value.(map[string]any)
		switch {
		case isObject:
			c.sameDefaults(at+"."+name, inner, property.Value)
		case present && property.Value.Default != nil && value != property.Value.Default:
			c.t.Errorf("%s.%s is %v, the file says the default is %v", at, name, value, property.Value.Default)
		}
	}
}

func adminKeys(c *contract, _ *rig) {
	made := c.send(sent{method: "POST", path: "/apps/team-a/keys?wait=true", body: `{"name":"ci","expires_at":"2099-01-01T00:00:00Z"}`, want: 201})
	if !strings.Contains(made.body, `"secret":"vg-`) {
		c.t.Errorf("no secret in %s", made.body)
	}
	c.send(sent{method: "POST", path: "/apps/team-a/keys", body: `{"name":"ci"}`, want: 409})
	c.send(sent{method: "POST", path: "/apps/team-a/keys", body: `{"name":"x","secret":"short"}`, want: 400})
	c.send(sent{method: "POST", path: "/apps/nothing/keys", body: `{"name":"ci"}`, want: 404})
	if a := c.send(sent{method: "GET", path: "/apps/team-a/keys", want: 200}); strings.Contains(a.body, `"secret"`) {
		c.t.Errorf("keys show a secret: %s", a.body)
	}
	c.send(sent{method: "GET", path: "/apps/nothing/keys", want: 404})
	c.send(sent{method: "PUT", path: "/apps/team-a/keys/ci?wait=true&note=sooner", body: `{"expires_at":"2098-01-01T00:00:00Z"}`, want: 200})
	c.send(sent{method: "PUT", path: "/apps/team-a/keys/ci", body: `{}`, invalid: true, want: 400})
	c.send(sent{method: "PUT", path: "/apps/team-a/keys/nothing", body: `{"expires_at":null}`, want: 404})
	turned := c.send(sent{method: "POST", path: "/apps/team-a/keys/ci/rotate?wait=true", body: `{"name":"ci-2","overlap_seconds":0}`, want: 201})
	if !strings.Contains(turned.body, `"secret":"vg-`) || !strings.Contains(turned.body, `"replaces":{`) {
		c.t.Errorf("rotation: %s", turned.body)
	}
	c.send(sent{method: "POST", path: "/apps/team-a/keys/ci/rotate", body: `{"name":"ci-3"}`, want: 409})
	c.send(sent{method: "POST", path: "/apps/team-a/keys/ci-2/rotate", body: `{"name":"ci-3","overlap_seconds":-1}`, invalid: true, want: 400})
	c.send(sent{method: "POST", path: "/apps/team-a/keys/nothing/rotate", body: `{"name":"ci-3"}`, want: 404})
	c.send(sent{method: "DELETE", path: "/apps/team-a/keys/ci-2?wait=true", want: 204})
	c.send(sent{method: "DELETE", path: "/apps/team-a/keys/ci?wait=true", want: 204})
	c.send(sent{method: "DELETE", path: "/apps/team-a/keys/ci", want: 404})
}

func adminConfig(c *contract, _ *rig) {
	got := c.send(sent{method: "GET", path: "/config", want: 200})
	etag := got.header.Get("ETag")
	c.send(sent{method: "PUT", path: "/config?dry_run=true&prune=true", body: got.body, header: []string{"If-Match", etag}, want: 200})
	c.send(sent{method: "PUT", path: "/config?wait=true&note=new", body: `{"apps":[{"name":"from-config","keys":[{"name":"k"}]}]}`, header: []string{"If-Match", etag}, want: 200})
	c.send(sent{method: "PUT", path: "/config", body: `{}`, header: []string{"If-Match", etag}, want: 412})
	c.send(sent{method: "PUT", path: "/config", body: `{"servers":[{"nane":"x"}]}`, invalid: true, want: 400})
	taken := `{"apps":[{"name":"thief","keys":[{"name":"k","secret":%q}]},{"name":"thief-2","keys":[{"name":"k","secret":%q}]}]}`
	secret := strings.Repeat("s", 40)
	c.send(sent{method: "PUT", path: "/config", body: fmt.Sprintf(taken, secret, secret+"x"), want: 200})
	c.send(sent{method: "PUT", path: "/config", body: fmt.Sprintf(taken, secret+"x", secret+"y"), want: 409})
	c.send(sent{method: "PUT", path: "/config", body: `{"apps":[{"name":"x","models":["` + strings.Repeat("a", 65<<20) + `"]}]}`, invalid: true, want: 413})
}

func adminUsage(c *contract, r *rig) {
	r.chat(0, "chat")
	r.chat(0, "nope")
	r.awaitUsage(1)
	for _, query := range []string{"", "?group_by=server,app,model&interval=minute", "?group_by=model&interval=hour&time_zone=Asia/Shanghai&app=team-a&model=chat&server=up",
		"?interval=day&from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z"} {
		c.send(sent{method: "GET", path: "/usage" + query, want: 200})
	}
	csv := c.send(sent{method: "GET", path: "/usage?group_by=server", header: []string{"Accept", "text/csv"}, want: 200})
	if !strings.HasPrefix(csv.header.Get("Content-Type"), "text/csv") || len(strings.Split(strings.TrimSpace(csv.body), "\n")) < 2 {
		c.t.Errorf("CSV: %v %q", csv.header, csv.body)
	}
	for _, query := range []string{"?interval=week", "?group_by=colour", "?from=yesterday", "?time_zone=Mars/Base", "?form=2020-01-01T00:00:00Z"} {
		c.send(sent{method: "GET", path: "/usage" + query, invalid: true, want: 400})
	}
}

func adminRevisions(c *contract) {
	page := c.send(sent{method: "GET", path: "/revisions?limit=1", want: 200})
	var p struct {
		Items      []struct{ Revision uint64 }
		NextCursor *string `json:"next_cursor"`
	}
	if err := json.Unmarshal([]byte(page.body), &p); err != nil || p.NextCursor == nil || len(p.Items) != 1 {
		c.t.Fatalf("page: %v %s", err, page.body)
	}
	if next := c.send(sent{method: "GET", path: "/revisions?cursor=" + *p.NextCursor, want: 200}); strings.Contains(next.body, fmt.Sprintf(`"revision":%d,`, p.Items[0].Revision)) {
		c.t.Errorf("the second page repeats the first: %s", next.body)
	}
	c.send(sent{method: "GET", path: "/revisions?limit=100000", invalid: true, want: 400})
	c.send(sent{method: "GET", path: "/revisions/1", want: 200})
	c.send(sent{method: "GET", path: "/revisions/1/diff", want: 200})
	c.send(sent{method: "GET", path: "/revisions/1/diff?to=2", want: 200})
	for _, path := range []string{"/revisions/99999", "/revisions/99999/diff", "/revisions/1/diff?to=99999"} {
		c.send(sent{method: "GET", path: path, want: 404})
	}
	for _, path := range []string{"/revisions/one", "/revisions/one/diff", "/revisions/1/diff?to=two"} {
		c.send(sent{method: "GET", path: path, invalid: true, want: 400})
	}
	c.send(sent{method: "POST", path: "/revisions/1/rollback?dry_run=true", want: 200})
	c.send(sent{method: "POST", path: "/revisions/1/rollback?wait=true&note=back", want: 200})
	c.send(sent{method: "POST", path: "/revisions/1/rollback", header: []string{"If-Match", `"999999"`}, want: 412})
	c.send(sent{method: "POST", path: "/revisions/99999/rollback", want: 404})
	c.send(sent{method: "POST", path: "/revisions/one/rollback", invalid: true, want: 400})
}

func adminNodes(c *contract, r *rig) {
	eventually(c.t, 15*time.Second, "a leader shows its queues", func() bool {
		return c.send(sent{method: "GET", path: "/queues"}).status == http.StatusOK
	})
	c.send(sent{method: "GET", path: "/nodes", want: 200})
	c.send(sent{method: "DELETE", path: "/nodes/dataplane-1", want: 409})
	c.send(sent{method: "POST", path: "/nodes/nothing/drain", want: 404})
	c.send(sent{method: "DELETE", path: "/nodes/nothing", want: 404})
	c.send(sent{method: "POST", path: "/nodes/dataplane-1/drain", want: 202})
	select {
	case <-r.Dataplanes[0].Done():
	case <-time.After(20 * time.Second):
		c.t.Fatal("the node did not end after the drain")
	}
	eventually(c.t, 15*time.Second, "the drained node counts as away", func() bool {
		return strings.Contains(c.send(sent{method: "GET", path: "/nodes", want: 200}).body, `"connected":false`)
	})
	c.send(sent{method: "POST", path: "/nodes/dataplane-1/drain", want: 409})
	c.send(sent{method: "DELETE", path: "/nodes/dataplane-1", want: 204})
}
