package adminapi_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/proto/schedule"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const explained = `{"servers":[{"name":"a","base_url":"http://a.invalid/v1"},{"name":"b","base_url":"http://b.invalid/v1"},{"name":"c","base_url":"http://c.invalid/v1","enabled":false}],
 "models":[{"name":"org/m","targets":[{"server":"a","upstream_model":"u","weight":3},{"server":"b","upstream_model":"u"},{"server":"c","upstream_model":"u","priority":2}],"fallbacks":["g"]},
  {"name":"g","targets":[{"server":"c","upstream_model":"g"}]}],
 "apps":[{"name":"x","models":["org/*"],"limits":{"max_concurrency":8},"budget":{"tokens":100}},{"name":"plain"}]}`

func TestExplain_ShowsEveryColumn(t *testing.T) {
	b := newBench(t, newMemory())
	b.call("PUT", "/config", explained).want(200)
	until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 8*3600))
	b.fleet.nodes = []push.Node{{ID: "n1", Connected: true, Ejections: []push.Ejection{{Server: "a", UpstreamModel: "u", Reason: "connect", Until: until, Since: until}}}}
	b.board.queues = admission.Queues{
		Leader: admission.Leader{Address: "cp:9090", Term: 3},
		Rows:   []admission.Queue{{Server: "b", EstimatedWait: -1, Paused: []admission.Paused{{UpstreamModel: "u", Until: until}}}},
		Apps:   []admission.App{{App: "x", Limits: schedule.Limits{MaxConcurrency: 8}, InFlight: 3, Free: 5, Waiting: 2}},
	}
	b.spent.by = map[string]budget.Spend{"x": {Tokens: 40}}
	var got, want map[string]any
	b.call("GET", "/explain?app=x&model=org/m", "").want(200).into(&got)
	if at, err := time.Parse(time.RFC3339, got["at"].(string)); err != nil || time.Since(at) > time.Minute {
		t.Errorf("at %v", got["at"])
	}
	if spent := got["budget"].(map[string]any); spent["state"] != "ok" || spent["spent_tokens"] != 40.0 || spent["app"] != "x" {
		t.Errorf("budget %v", spent)
	}
	delete(got, "at")
	delete(got, "budget")
	if err := json.Unmarshal([]byte(`{"app":"x","model":"org/m","verdict":"waits","code":"","detail":"no target can start a request now; it waits for b",
	 "reasons":[{"code":"waits_for","servers":["b"]}],
	 "app_limits":{"limits":{"max_concurrency":8,"requests_per_minute":0,"tokens_per_minute":0},"in_flight":3,"waiting":2,"free":5,"requests_available":null,"tokens_available":null},
	 "tiers":[{"priority":0,"targets":[
	   {"server":"a","upstream_model":"u","weight":3,"share":0,"state":"ejected","detail":"ejected by every connected node: connect","reason":{"code":"ejected","cause":"connect"},"ejected_by":[{"node":"n1","reason":"connect","until":"2026-01-01T19:04:05Z"}],"queue":null},
	   {"server":"b","upstream_model":"u","weight":1,"share":0,"state":"paused","detail":"the upstream asked for a pause (HTTP 429)","reason":{"code":"upstream_pause"},"paused_until":"2026-01-01T19:04:05Z","ejected_by":[],
	    "queue":{"server":"b","limits":{"max_concurrency":0,"requests_per_minute":0,"tokens_per_minute":0},"in_flight":0,"held":0,"quarantined":0,"free":null,"requests_available":null,"tokens_available":null,
	     "waiting":0,"oldest_wait_ms":null,"waiting_by_app":[],"estimated_wait_ms":null,"regime":"relaxed","paused":[{"upstream_model":"u","until":"2026-01-01T19:04:05Z"}],"leader":{"address":"cp:9090","term":3,"learning":false}}}]},
	  {"priority":2,"targets":[{"server":"c","upstream_model":"u","weight":1,"share":0,"state":"disabled","detail":"the server is disabled","reason":{"code":"server_disabled"},"ejected_by":[],"queue":null}]}],
	 "fallbacks":[{"model":"g","allowed":false,"tiers":[{"priority":0,"targets":[{"server":"c","upstream_model":"g","weight":1,"share":0,"state":"disabled","detail":"the server is disabled","reason":{"code":"server_disabled"},"ejected_by":[],"queue":null}]}]}]}`), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		text, _ := json.Marshal(got)
		t.Errorf("got %s", text)
	}
}

func TestExplain_VerdictsAreAnswersAndOnlyAnUnknownAppIsNot(t *testing.T) {
	b := newBench(t, newMemory())
	b.call("PUT", "/config", explained).want(200)
	b.board.err = vegaerr.New(vegaerr.Unavailable, "", "no replica leads admission at this moment; try again")
	for query, want := range map[string][2]string{
		"app=x&model=nothing": {"refused", "model_not_found"}, "app=x&model=g": {"refused", "model_not_allowed"}, "app=x&model=org/m": {"ready", ""},
		"app=plain&model=g": {"refused", "no_server_available"},
	} {
		var got struct{ Verdict, Code string }
		b.call("GET", "/explain?"+query, "").want(200).into(&got)
		if [2]string{got.Verdict, got.Code} != want {
			t.Errorf("%s: %+v, want %v", query, got, want)
		}
	}
	b.spent.by = map[string]budget.Spend{"x": {Tokens: 100}}
	var got struct{ Verdict, Code string }
	if b.call("GET", "/explain?app=x&model=org/m", "").want(200).into(&got); got.Code != "insufficient_quota" {
		t.Errorf("%+v", got)
	}
	b.call("GET", "/explain?app=nobody&model=g", "").want(404)
	b.bad("GET", "/explain?app=x", "").want(400)
	b.bad("GET", "/explain?app=x&model=g&extra=1", "").want(400)
	b.fleet.err = vegaerr.New(vegaerr.Unavailable, "", "the database is away")
	b.call("GET", "/explain?app=x&model=org/m", "").want(503)
}

func TestExplain_WritesTheFiguresOfItsReasons(t *testing.T) {
	b := newBench(t, newMemory())
	b.call("PUT", "/config", explained).want(200)
	b.board.queues = admission.Queues{Apps: []admission.App{{App: "plain"}}, Rows: []admission.Queue{{Server: "a"}, {Server: "b"}}}
	type answer struct{ Reasons []map[string]any }
	look := func(query string) (out answer) {
		b.call("GET", "/explain?"+query, "").want(200).into(&out)
		return out
	}
	for query, want := range map[string]string{
		"app=plain&model=org/m":   `[{"code":"starts","priority":0,"servers":["a","b"]},{"code":"no_nodes"}]`,
		"app=plain&model=g":       `[{"code":"none_usable"},{"code":"no_nodes"}]`,
		"app=x&model=g":           `[{"code":"models_allowed","models":["org/*"]}]`,
		"app=plain&model=nothing": `[{"code":"model_unknown","model":"nothing"}]`,
	} {
		if got, _ := json.Marshal(look(query).Reasons); string(got) != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	b.spent.by = map[string]budget.Spend{"x": {Tokens: 100}}
	got := look("app=x&model=org/m").Reasons
	if until, _ := got[0]["until"].(string); len(got) != 1 || got[0]["code"] != "budget_exhausted" || len(until) != len("2026-01-02T03:04:05Z") {
		t.Errorf("%v", got)
	}
}
