package adminapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

type seenKey struct {
	ID, Name, Secret string
	ExpiresAt        *time.Time `json:"expires_at"`
	LastUsedAt       *time.Time `json:"last_used_at"`
	Replaces         *seenKey
}

func (b *bench) keysOf(app string) map[string]seenKey {
	b.t.Helper()
	var list []seenKey
	b.call("GET", "/apps/"+app+"/keys", "").want(200).into(&list)
	byName := map[string]seenKey{}
	for _, k := range list {
		byName[k.Name] = k
	}
	return byName
}

func TestKeys_RotationIsOneRevisionThatDiffAndRollbackUnderstand(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		b.call("POST", "/apps", `{"name":"team-a","keys":[{"name":"default"}]}`).want(201)
		before := b.keysOf("team-a")["default"]
		began := time.Now()
		r := b.call("POST", "/apps/team-a/keys/default/rotate?wait=true&note=yearly", `{"name":"default-2","overlap_seconds":600}`).want(201)
		var got seenKey
		r.into(&got)
		left := got.Replaces.ExpiresAt.Sub(began)
		if len(got.Secret) != 46 || got.Name != "default-2" || got.ExpiresAt != nil || got.Replaces.ID != before.ID || left < 599*time.Second || left > 630*time.Second {
			t.Fatalf("%s", r.body)
		}
		if h := r.Header; h.Get("x-vega-revision") != "2" || h.Get("x-vega-rollout") == "" || h.Get("Location") != "/api/v1/apps/team-a/keys/default-2" {
			t.Fatalf("%v", h)
		}
		var diff struct {
			Changes []struct {
				Kind, Name, Action string
				Fields             []struct{ Path string }
			}
		}
		b.call("GET", "/revisions/1/diff?to=2", "").want(200).into(&diff)
		if c := diff.Changes; len(c) != 2 || c[0].Name != "team-a/default" || c[0].Action != "updated" || len(c[0].Fields) != 1 || c[0].Fields[0].Path != "expires_at" ||
			c[1].Name != "team-a/default-2" || c[1].Action != "created" {
			t.Fatalf("%+v", diff)
		}
		b.call("POST", "/revisions/1/rollback", "").want(200)
		after := b.keysOf("team-a")
		if len(after) != 2 || after["default"].ExpiresAt == nil || !after["default"].ExpiresAt.Equal(*got.Replaces.ExpiresAt) {
			t.Fatalf("a rollback undid a rotation: %+v", after)
		}
	})
}

func TestKeys_ARefusedRotationLeavesNothingBehind(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		const secret = "0123456789-0123456789-0123456789"
		b.call("POST", "/apps", `{"name":"team-a","keys":[{"name":"default","secret":"`+secret+`"},{"name":"dead","expires_at":"2020-01-01T00:00:00Z"},{"name":"gone"}]}`).want(201)
		b.call("DELETE", "/apps/team-a/keys/gone", "").want(204)
		for _, c := range []struct {
			key, body string
			status    int
			path      string
		}{
			{"dead", `{"name":"n"}`, 409, ""},
			{"gone", `{"name":"n"}`, 404, ""},
			{"default", `{"name":"dead"}`, 409, ""},
			{"default", `{"name":"n","secret":"` + secret + `"}`, 409, "secret"},
			{"default", `{"name":"n","overlap_seconds":-1}`, 400, "overlap_seconds"},
			{"default", `{"name":"bad\u0000name"}`, 400, "name"},
			{"default", `{"name":"n","overlap":1}`, 400, "overlap"},
		} {
			p := b.bad("POST", "/apps/team-a/keys/"+c.key+"/rotate", c.body).want(c.status).problem()
			if c.path != "" && (len(p.Errors) != 1 || p.Errors[0].Path != c.path) {
				t.Errorf("%s: %+v", c.body, p)
			}
		}
		b.call("POST", "/apps/nothing/keys/default/rotate", `{"name":"n"}`).want(404)
		b.bad("POST", "/apps/team-a/keys/default/rotate?dry_run=true", `{"name":"n"}`).want(400)
		if keys := b.keysOf("team-a"); len(keys) != 2 || keys["default"].ExpiresAt != nil {
			t.Fatalf("%+v", keys)
		}
		if r := b.call("GET", "/config", ""); r.Header.Get("ETag") != `"2"` {
			t.Fatalf("a refused rotation made revision %s", r.Header.Get("ETag"))
		}
	})
}

func TestKeys_TheExpiryIsChangedAloneAndANoOpMakesNoRevision(t *testing.T) {
	onEachStore(t, func(t *testing.T, b *bench) {
		b.call("POST", "/apps", `{"name":"team-a","keys":[{"name":"default"}]}`).want(201)
		before := b.keysOf("team-a")["default"]
		for i, body := range []string{`{"expires_at":"2030-01-01T00:00:00Z"}`, `{"expires_at":"2030-01-01T00:00:00Z"}`, `{"expires_at":null}`} {
			var k seenKey
			r := b.call("PUT", "/apps/team-a/keys/default?wait=true", body).want(200)
			r.into(&k)
			if want := []string{"2", "2", "3"}[i]; r.Header.Get("x-vega-revision") != want || k.ID != before.ID || (k.ExpiresAt == nil) != (i == 2) || k.Secret != "" {
				t.Errorf("%s: revision %s %s", body, r.Header.Get("x-vega-revision"), r.body)
			}
		}
		for _, body := range []string{`{}`, `{"expires_at":"soon"}`, `{"expires_at":null,"secret":"x"}`, `nonsense`} {
			b.bad("PUT", "/apps/team-a/keys/default", body).want(400)
		}
		b.call("PUT", "/apps/team-a/keys/none", `{"expires_at":null}`).want(404)
		b.call("PUT", "/apps/none/keys/default", `{"expires_at":null}`).want(404)
	})
}

func TestKeys_LastUseIsShownWhereverKeysAre(t *testing.T) {
	s := openPostgres(t)
	b := onPostgres(t, s)
	b.call("POST", "/apps", `{"name":"team-a","keys":[{"name":"idle"},{"name":"used"}]}`).want(201)
	id, now := b.keysOf("team-a")["used"].ID, time.Now().UTC()
	record := &usagev1.Record{Seq: 1, Body: &usagev1.Record_Request{Request: &usagev1.Request{Id: "r", KeyId: id, App: "team-a", StartedUnixMs: now.UnixMilli(), EndedUnixMs: now.UnixMilli()}}}
	if _, err := s.IngestUsage(t.Context(), usage.Batch{NodeID: "n", Epoch: 1, First: 1, Last: 1, Records: []*usagev1.Record{record}, Clock: usage.Clock{Now: now}}); err != nil {
		t.Fatal(err)
	}
	check := func(where string, keys []seenKey) {
		t.Helper()
		if len(keys) != 2 || keys[0].LastUsedAt != nil || keys[1].LastUsedAt == nil || !keys[1].LastUsedAt.Equal(now.Truncate(time.Minute)) {
			t.Errorf("%s: %+v", where, keys)
		}
	}
	var keys []seenKey
	b.call("GET", "/apps/team-a/keys", "").want(200).into(&keys)
	check("keys", keys)
	var app struct{ Keys []seenKey }
	one := b.call("GET", "/apps/team-a", "").want(200)
	one.into(&app)
	check("app", app.Keys)
	var apps []struct{ Keys []seenKey }
	b.call("GET", "/apps", "").want(200).into(&apps)
	check("apps", apps[0].Keys)
	put := b.call("PUT", "/apps/team-a", string(one.body)).want(200)
	put.into(&app)
	check("put back", app.Keys)
	if put.Header.Get("x-vega-revision") != "1" {
		t.Error("putting back what was read made a revision")
	}
	var changed seenKey
	b.call("PUT", "/apps/team-a/keys/used", `{"expires_at":"2030-01-01T00:00:00Z"}`).want(200).into(&changed)
	if changed.LastUsedAt == nil {
		t.Error("the answer to a change forgot the last use")
	}
}

// 明文只有一次：写成了之后查不到最近使用，不能把它弄丢。
func TestKeys_ASecretIsShownEvenWhenTheLastUseCannotBeRead(t *testing.T) {
	m := newMemory()
	b := newBench(t, m)
	m.forgot = vegaerr.New(vegaerr.Unavailable, "", "the database does not answer")
	for _, c := range [][2]string{
		{"/apps", `{"name":"team-a","keys":[{"name":"default"}]}`}, {"/apps/team-a/keys", `{"name":"second"}`}, {"/apps/team-a/keys/default/rotate", `{"name":"third"}`},
	} {
		if r := b.call("POST", c[0], c[1]).want(201); !strings.Contains(string(r.body), `"secret":"vg-`) {
			t.Errorf("%s lost the secret: %s", c[0], r.body)
		}
	}
	for _, path := range []string{"/apps/team-a/keys", "/apps/team-a", "/apps"} {
		b.call("GET", path, "").want(503)
	}
}
