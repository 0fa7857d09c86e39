package adminapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/controlplane/internal/push"
)

const document = `{
  "servers": [{"name":"gpu-1","base_url":"http://127.0.0.1:9001/v1","api_key":"sk-upstream-planted-1234","headers":{"X-Team":"infra"}}],
  "models": [{"name":"gpt-4o","targets":[{"server":"gpu-1","upstream_model":"m-1"}],"prices":{"input_per_million":2.5}}],
  "apps": [{"name":"team-a","budget":{"tokens":1000},"keys":[{"name":"default","secret":"planted-secret-0123456789-0123456789"},{"name":"made"}]}]
}`

type applied struct {
	Revision uint64
	DryRun   bool `json:"dry_run"`
	Changes  []struct{ Kind, Name, Action string }
	Keys     []struct{ App, Name, Secret string }
	Applied  *[]string
	Rejected *[]struct{ Node, Error string }
	Pending  *[]string
}

func (b *bench) apply(doc string) (r applied) {
	b.t.Helper()
	b.call("PUT", "/config", doc).want(200).into(&r)
	return r
}

func TestConfig_ApplyExportAndApplyAgainIsANoOp(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		r := b.apply(document)
		if r.Revision != 1 || len(r.Changes) != 5 || r.Applied != nil {
			t.Fatalf("got %+v", r)
		}
		if len(r.Keys) != 1 || r.Keys[0].Name != "made" || !strings.HasPrefix(r.Keys[0].Secret, "vg-") || len(r.Keys[0].Secret) != 46 {
			t.Fatalf("new keys: %+v", r.Keys)
		}
		export := b.call("GET", "/config", "").want(200)
		if export.Header.Get("ETag") != `"1"` || export.Header.Get("x-vega-revision") != "1" {
			t.Fatalf("headers %v", export.Header)
		}
		for _, query := range []string{"", "?prune=true", "?dry_run=true&prune=true"} {
			var again applied
			b.call("PUT", "/config"+query, string(export.body)).want(200).into(&again)
			if again.Revision != 1 || len(again.Changes) != 0 || len(again.Keys) != 0 {
				t.Errorf("%q: putting the export back changed something: %+v", query, again)
			}
		}
	})
}

func TestConfig_DryRunWritesNothingAndGivesNoSecret(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		var r applied
		b.call("PUT", "/config?dry_run=true", document).want(200).into(&r)
		if !r.DryRun || r.Revision != 0 || len(r.Changes) != 5 || len(r.Keys) != 0 {
			t.Fatalf("got %+v", r)
		}
		if after := b.call("GET", "/config", "").want(200); after.Header.Get("ETag") != `"0"` {
			t.Fatalf("dry run moved the revision to %s", after.Header.Get("ETag"))
		}
	})
}

func TestConfig_EveryErrorIsListedByPathAndNothingIsHalfApplied(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		b.apply(document)
		p := b.bad("PUT", "/config", `{
	  "servers":[{"name":"ok-1","base_url":"http://x/v1"},{"name":"BAD","base_url":"nope","limits":{"max_concurrency":-1},"max_concurency":3}],
	  "models":[{"name":"m","targets":[{"server":"ghost"}],"fallbacks":"x"}], "apps":[{"name":"a","name":"b"}]}`).want(400).problem()
		if p.Code != "invalid" {
			t.Fatalf("code %q", p.Code)
		}
		got := map[string]bool{}
		for _, e := range p.Errors {
			got[e.Path] = true
		}
		for _, want := range []string{"servers[1].max_concurency", "models[0].fallbacks", "apps[0].name",
			"servers[1].name", "servers[1].base_url", "servers[1].limits.max_concurrency", "models[0].targets[0].server"} {
			if !got[want] {
				t.Errorf("no error at %s: %+v", want, p.Errors)
			}
		}
		p = b.call("PUT", "/config", `{"models":[{"name":"m","targets":[{"server":"gpu-1","upstream_model":"x"},{"server":"ghost","upstream_model":"x"}]}],"apps":[{"name":"z","default_server":"ghost"}]}`).want(400).problem()
		got = map[string]bool{}
		for _, e := range p.Errors {
			got[e.Path] = true
		}
		if !got["models[0].targets[1].server"] || !got["apps[0].default_server"] {
			t.Errorf("dangling references: %+v", p.Errors)
		}
		if after := b.call("GET", "/config", "").want(200); after.Header.Get("ETag") != `"1"` {
			t.Errorf("a refused document moved the revision to %s", after.Header.Get("ETag"))
		}
	})
}

func TestConfig_IfMatchGuardsTheRevisionIncludingZero(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		b.call("PUT", "/config", document, "If-Match", `"0"`).want(200)
		if p := b.call("PUT", "/config", `{}`, "If-Match", `"0"`).want(412).problem(); p.Code != "precondition_failed" {
			t.Fatalf("code %q", p.Code)
		}
		b.call("PUT", "/config", `{}`, "If-Match", `W/"1"`).want(412)
		b.call("PUT", "/config", `{}`, "If-Match", `1`).want(412)
		b.call("PUT", "/config", `{}`, "If-Match", `"7", "1"`).want(200)
		b.call("PUT", "/config", `{}`, "If-Match", `*`).want(200)
	})
}

func TestConfig_WaitNamesTheNodes(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		b.fleet.outcome = push.Outcome{Applied: []string{"n1", "n2"}, Rejected: []push.Rejection{{Node: "n3", Error: "no"}}}
		r := b.call("PUT", "/config?wait=true", document).want(200)
		var got applied
		r.into(&got)
		if got.Applied == nil || len(*got.Applied) != 2 || len(*got.Rejected) != 1 || (*got.Rejected)[0].Error != "no" || len(*got.Pending) != 0 {
			t.Fatalf("got %s", r.body)
		}
		if h := r.Header.Get("x-vega-rollout"); h != "applied=2, rejected=1, pending=0" {
			t.Fatalf("rollout %q", h)
		}
		if len(b.fleet.waited) != 1 || b.fleet.waited[0] != 1 || b.fleet.timeout.Seconds() != 10 {
			t.Fatalf("waited for %v within %v", b.fleet.waited, b.fleet.timeout)
		}
	})
}

func TestConfig_WaitThatCannotKnowStillReportsTheWrite(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		b.fleet.err = fmt.Errorf("database gone")
		var got applied
		r := b.call("PUT", "/config?wait=true", document).want(200)
		r.into(&got)
		if got.Revision != 1 || got.Applied != nil || r.Header.Get("x-vega-rollout") != "unknown" {
			t.Fatalf("got %s, rollout %q", r.body, r.Header.Get("x-vega-rollout"))
		}
	})
}

func TestObjects_CreateReadReplaceDelete(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		created := b.call("POST", "/servers?wait=true&note=first", `{"name":"gpu-1","base_url":"http://x/v1","api_key":"sk-upstream-planted-1234"}`).want(201)
		if created.Header.Get("Location") != "/api/v1/servers/gpu-1" || created.Header.Get("ETag") != `"1"` || created.Header.Get("x-vega-revision") != "1" {
			t.Fatalf("headers %v", created.Header)
		}
		if created.Header.Get("x-vega-rollout") != "applied=0, rejected=0, pending=0" {
			t.Fatalf("rollout %q", created.Header.Get("x-vega-rollout"))
		}
		if p := b.call("POST", "/servers", `{"name":"gpu-1","base_url":"http://x/v1"}`).want(409).problem(); p.Code != "conflict" {
			t.Fatalf("code %q", p.Code)
		}
		got := b.call("GET", "/servers/gpu-1", "").want(200)
		if strings.Contains(string(got.body), "planted") || !strings.Contains(string(got.body), `"has_api_key":true`) {
			t.Fatalf("body %s", got.body)
		}
		// 原样放回不产生新版本；改了之后旧的 ETag 不再成立。
		same := b.call("PUT", "/servers/gpu-1", string(got.body), "If-Match", got.Header.Get("ETag")).want(200)
		if same.Header.Get("ETag") != `"1"` || same.Header.Get("x-vega-revision") != "1" {
			t.Fatalf("putting the object back made a revision: %v", same.Header)
		}
		changed := b.call("PUT", "/servers/gpu-1", `{"name":"gpu-1","base_url":"http://y/v1"}`, "If-Match", `"1"`).want(200)
		if changed.Header.Get("ETag") != `"2"` || !strings.Contains(string(changed.body), `"has_api_key":true`) {
			t.Fatalf("an absent secret did not keep the stored one: %v %s", changed.Header, changed.body)
		}
		b.call("PUT", "/servers/gpu-1", `{"name":"gpu-1","base_url":"http://z/v1"}`, "If-Match", `"1"`).want(412)
		b.call("DELETE", "/servers/gpu-1", "", "If-Match", `"1"`).want(412)
		if p := b.bad("PUT", "/servers/gpu-1", `{"name":"gpu-2","base_url":"http://z/v1"}`).want(400).problem(); len(p.Errors) != 1 || p.Errors[0].Path != "name" {
			t.Fatalf("renaming: %+v", p)
		}
		b.call("PUT", "/servers/none", `{"name":"none","base_url":"http://z/v1"}`).want(404)
		b.call("DELETE", "/servers/none", "").want(404)
		deleted := b.call("DELETE", "/servers/gpu-1", "", "If-Match", `"2"`).want(204)
		if deleted.Header.Get("x-vega-revision") != "3" || len(deleted.body) != 0 {
			t.Fatalf("delete: %v %q", deleted.Header, deleted.body)
		}
		if list := b.call("GET", "/servers", "").want(200); strings.TrimSpace(string(list.body)) != "[]" {
			t.Fatalf("an empty collection is %s", list.body)
		}
	})
}

func TestObjects_DeletingWhatIsReferencedListsTheReferences(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		b.apply(`{"servers":[{"name":"gpu-1","base_url":"http://x/v1"}],"models":[{"name":"m/1","targets":[{"server":"gpu-1","upstream_model":"x"}]}],"apps":[{"name":"a","default_server":"gpu-1"}]}`)
		p := b.call("DELETE", "/servers/gpu-1", "").want(409).problem()
		if p.Code != "conflict" || len(p.Errors) != 2 || p.Errors[0].Path != "apps[a].default_server" || p.Errors[1].Path != "models[m/1].targets[0].server" {
			t.Fatalf("got %+v", p)
		}
	})
}

func TestObjects_NamesWithAnyPrintableCharacterAreReachable(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		b.apply(`{"servers":[{"name":"gpu-1","base_url":"http://x/v1"}]}`)
		for _, name := range []string{
			"meta-llama/Llama-3.1-8B", "a//b", "/lead", "trail/", "with space", "百川/大模型", "100%", "50%25", "a%2Fb", "q?x=1#frag", "a+b&c=d", "a,b;c", "..", ".", "a:b", `quo"te\back`, "*",
		} {
			body := fmt.Sprintf(`{"name":%q,"targets":[{"server":"gpu-1","upstream_model":"x"}]}`, name)
			created := b.call("POST", "/models", body).want(201)
			path := "/models/" + url.PathEscape(name)
			if name == "." || name == ".." {
				path = "/models/" + strings.ReplaceAll(name, ".", "%2E")
			}
			if name != "." && name != ".." && created.Header.Get("Location") != "/api/v1"+path {
				t.Errorf("%q: Location %q", name, created.Header.Get("Location"))
			}
			var got struct{ Name string }
			b.call("GET", path, "").want(200).into(&got)
			if got.Name != name {
				t.Errorf("asked for %q, got %q", name, got.Name)
			}
			b.call("PUT", path, body).want(200)
			b.call("DELETE", path, "").want(204)
			b.call("GET", path, "").want(404)
		}
	})
}

func TestKeys_SecretIsShownOnceAndRevokedForGood(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		b.call("POST", "/apps", `{"name":"team-a","keys":[{"name":"first"}]}`).want(201)
		created := b.call("POST", "/apps/team-a/keys", `{"name":"ci","expires_at":"2030-01-01T00:00:00Z"}`).want(201)
		var k struct{ ID, Name, Hint, Secret string }
		created.into(&k)
		if len(k.Secret) != 46 || k.Hint != k.Secret[42:] || created.Header.Get("Location") != "/api/v1/apps/team-a/keys/ci" {
			t.Fatalf("got %s %v", created.body, created.Header)
		}
		for _, path := range []string{"/apps/team-a/keys", "/apps/team-a", "/apps", "/config"} {
			if got := b.call("GET", path, "").want(200); strings.Contains(string(got.body), k.Secret) {
				t.Errorf("%s shows the secret", path)
			}
		}
		b.call("POST", "/apps/team-a/keys", `{"name":"ci"}`).want(409)
		b.call("POST", "/apps/none/keys", `{"name":"ci"}`).want(404)
		if p := b.call("POST", "/apps/team-a/keys", `{"name":"own","secret":"short"}`).want(400).problem(); p.Errors[0].Path != "secret" {
			t.Fatalf("got %+v", p)
		}
		own := b.call("POST", "/apps/team-a/keys", `{"name":"own","secret":"0123456789-0123456789-0123456789"}`).want(201)
		if strings.Contains(string(own.body), "0123456789-0123") {
			t.Fatalf("echoed the caller's own secret: %s", own.body)
		}
		b.call("DELETE", "/apps/team-a/keys/ci?wait=true", "").want(204)
		b.call("DELETE", "/apps/team-a/keys/ci", "").want(404)
		b.call("GET", "/apps/none/keys", "").want(404)
	})
}

func TestApps_SecretsMadeOnCreateComeBackInTheAnswerAndCanBePutBack(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		created := b.call("POST", "/apps", `{"name":"team-a","keys":[{"name":"one"},{"name":"two","secret":"0123456789-0123456789-0123456789"}]}`).want(201)
		var app struct {
			Keys []struct{ Name, Secret string }
		}
		created.into(&app)
		if len(app.Keys) != 2 || len(app.Keys[0].Secret) != 46 || app.Keys[1].Secret != "" {
			t.Fatalf("got %s", created.body)
		}
		if again := b.call("PUT", "/apps/team-a", string(created.body)).want(200); again.Header.Get("x-vega-revision") != "1" {
			t.Fatalf("putting the answer back made revision %s", again.Header.Get("x-vega-revision"))
		}
	})
}

func TestRevisions_ListReadDiffAndRollBack(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		b.apply(document)
		for i := range 3 {
			b.call("PUT", "/servers/gpu-1?note=step", fmt.Sprintf(`{"name":"gpu-1","base_url":"http://x/v%d"}`, i)).want(200)
		}
		var page struct {
			Items []struct {
				Revision    uint64
				Actor, Note string
			}
			NextCursor *string `json:"next_cursor"`
		}
		b.call("GET", "/revisions?limit=3", "").want(200).into(&page)
		if len(page.Items) != 3 || page.Items[0].Revision != 4 || page.Items[0].Actor != "bootstrap" || page.Items[0].Note != "step" || page.NextCursor == nil {
			t.Fatalf("got %+v", page)
		}
		cursor := *page.NextCursor
		page.NextCursor = nil
		b.call("GET", "/revisions?limit=3&cursor="+cursor, "").want(200).into(&page)
		if len(page.Items) != 1 || page.Items[0].Revision != 1 || page.NextCursor != nil {
			t.Fatalf("second page %+v", page)
		}
		b.bad("GET", "/revisions?limit=0", "").want(400)
		b.bad("GET", "/revisions?limit=x", "").want(400)
		b.bad("GET", "/revisions?cursor=x", "").want(400)

		var detail struct {
			Revision uint64
			Config   struct{ Servers []struct{ BaseURL string } }
		}
		b.call("GET", "/revisions/1", "").want(200).into(&detail)
		if detail.Revision != 1 || len(detail.Config.Servers) != 1 {
			t.Fatalf("got %+v", detail)
		}
		b.call("GET", "/revisions/0", "").want(200)
		b.call("GET", "/revisions/99", "").want(404)
		b.bad("GET", "/revisions/-1", "").want(404)
		b.bad("GET", "/revisions/x", "").want(400)

		var diff struct {
			From, To uint64
			Changes  []struct {
				Fields []struct {
					Path     string
					From, To any
				}
			}
		}
		b.call("GET", "/revisions/2/diff?to=3", "").want(200).into(&diff)
		if diff.From != 2 || diff.To != 3 || len(diff.Changes) != 1 || diff.Changes[0].Fields[0].To != "http://x/v1" {
			t.Fatalf("got %+v", diff)
		}
		b.call("GET", "/revisions/2/diff", "").want(200).into(&diff)
		if diff.To != 4 {
			t.Fatalf("diff to head went to %d", diff.To)
		}

		var r applied
		b.call("POST", "/revisions/2/rollback?dry_run=true", "").want(200).into(&r)
		if r.Revision != 4 || len(r.Changes) != 1 {
			t.Fatalf("dry run %+v", r)
		}
		b.call("POST", "/revisions/2/rollback", "", "If-Match", `"3"`).want(412)
		b.call("POST", "/revisions/2/rollback?wait=true", "", "If-Match", `"4"`).want(200).into(&r)
		if r.Revision != 5 || r.Applied == nil {
			t.Fatalf("rollback %+v", r)
		}
		b.call("POST", "/revisions/99/rollback", "").want(404)
		b.call("GET", "/revisions?limit=1", "").want(200).into(&page)
		if page.Items[0].Note != "rollback to revision 2" {
			t.Fatalf("note %q", page.Items[0].Note)
		}
	})
}

func TestMethods_UnknownPathsAndMethodsAreProblems(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		for _, c := range []struct {
			method, path, code string
			status             int
		}{
			{"GET", "/nothing", "not_found", 404},
			{"GET", "", "not_found", 404},
			{"GET", "/models/a/b", "not_found", 404},
			{"PATCH", "/config", "method_not_allowed", 405},
			{"POST", "/config", "method_not_allowed", 405},
			{"DELETE", "/usage", "method_not_allowed", 405},
		} {
			r := b.bad(c.method, c.path, "").want(c.status)
			if p := r.problem(); p.Code != c.code {
				t.Errorf("%s %s: code %q", c.method, c.path, p.Code)
			}
			if c.status == http.StatusMethodNotAllowed && r.Header.Get("Allow") == "" {
				t.Errorf("%s %s: no Allow header", c.method, c.path)
			}
		}
	})
}
