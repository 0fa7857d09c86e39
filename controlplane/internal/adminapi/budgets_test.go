package adminapi_test

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// spent 是写好台词的花费，按 app。
type spent struct {
	by  map[string]budget.Spend
	err error
}

func (s *spent) Statuses(_ context.Context, plans []budget.Plan) ([]budget.Status, error) {
	list := []budget.Status{}
	for _, p := range plans {
		start := time.Date(2026, 11, 23, 0, 0, 0, 0, p.Zone)
		list = append(list, budget.Status{Plan: p, Start: start, End: start.AddDate(0, 0, 1), Spent: s.by[p.App]})
	}
	return list, s.err
}

const budgeted = `{"apps":[
	{"name":"a","budget":{"amount":100.5,"tokens":1000,"period":"day","time_zone":"Asia/Shanghai"}},
	{"name":"b","budget":{"tokens":7,"soft_percent":0}},
	{"name":"c","budget":{"amount":1}},
	{"name":"free"}]}`

func TestBudgets_ShowEveryColumnOfThoseThatHaveOne(t *testing.T) {
	b := newBench(t, newMemory())
	if r := b.call("GET", "/budgets", "").want(200); strings.TrimSpace(string(r.body)) != "[]" {
		t.Fatalf("no budgets is %s", r.body)
	}
	b.call("PUT", "/config", budgeted).want(200)
	b.spent.by = map[string]budget.Spend{"a": {Nano: 84_923_456_789, Tokens: 3}, "b": {Tokens: 8}, "c": {Nano: 1}}
	want := `[
	 {"app":"a","period":"day","time_zone":"Asia/Shanghai","period_start":"2026-11-23T00:00:00+08:00","resets_at":"2026-11-24T00:00:00+08:00",
	  "amount":100.5,"tokens":1000,"spent":84.923456789,"spent_tokens":3,"soft_percent":80,"percent":84.5,"state":"warning"},
	 {"app":"b","period":"month","time_zone":"UTC","period_start":"2026-11-23T00:00:00Z","resets_at":"2026-11-24T00:00:00Z",
	  "amount":0,"tokens":7,"spent":0,"spent_tokens":8,"soft_percent":0,"percent":114.28,"state":"exhausted"},
	 {"app":"c","period":"month","time_zone":"UTC","period_start":"2026-11-23T00:00:00Z","resets_at":"2026-11-24T00:00:00Z",
	  "amount":1,"tokens":0,"spent":0.000000001,"spent_tokens":0,"soft_percent":80,"percent":0,"state":"ok"}]`
	var got, expected any
	r := b.call("GET", "/budgets", "").want(200)
	r.into(&got)
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, expected) || !strings.Contains(string(r.body), `"spent":84.923456789`) {
		t.Errorf("got %s", r.body)
	}
	var one any
	b.call("GET", "/apps/b/budget", "").want(200).into(&one)
	if !reflect.DeepEqual(one, expected.([]any)[1]) {
		t.Errorf("got %v", one)
	}
	b.call("GET", "/apps/free/budget", "").want(404)
	b.call("GET", "/apps/none/budget", "").want(404)
	b.spent.err = vegaerr.New(vegaerr.Unavailable, "", "the spending of the budgets cannot be read now")
	b.call("GET", "/budgets", "").want(503)
	b.call("GET", "/apps/a/budget", "").want(503)
}

func TestBudgets_AreWrittenWithTheAppAndGoRound(t *testing.T) {
	b := newBench(t, newMemory())
	b.call("PUT", "/config", budgeted).want(200)
	r := b.call("GET", "/apps/a", "").want(200)
	if !strings.Contains(string(r.body), `"budget":{"amount":100.5,"tokens":1000,"period":"day","time_zone":"Asia/Shanghai","soft_percent":80}`) {
		t.Errorf("%s", r.body)
	}
	etag := r.Header.Get("ETag")
	if again := b.call("PUT", "/apps/a", string(r.body)).want(200); again.Header.Get("ETag") != etag {
		t.Error("putting back what was read made a new version")
	}
	if r := b.call("GET", "/apps/free", "").want(200); strings.Contains(string(r.body), "budget") {
		t.Errorf("%s", r.body)
	}
	b.call("PUT", "/apps/c", `{"name":"c","budget":{}}`).want(200)
	b.call("GET", "/apps/c/budget", "").want(404)
	for body, path := range map[string]string{
		`{"name":"a","budget":{"tokens":0}}`:                               "budget",
		`{"name":"a","budget":{"tokens":1,"time_zone":"Mars/Olympus"}}`:    "budget.time_zone",
		`{"name":"a","budget":{"tokens":1,"period":"week"}}`:               "budget.period",
		`{"name":"a","budget":{"amount":-1}}`:                              "budget.amount",
		`{"name":"a","budget":{"amount":1,"soft_percent":101}}`:            "budget.soft_percent",
		`{"name":"a","budget":{"amount":1.0000000001}}`:                    "budget.amount",
		`{"name":"a","budget":{"amount":1,"currency":"USD"}}`:              "budget.currency",
		`{"name":"a","budget":{"tokens":1000000000000001,"period":"day"}}`: "budget.tokens",
	} {
		if p := b.bad("PUT", "/apps/a", body).want(400).problem(); len(p.Errors) != 1 || p.Errors[0].Path != path {
			t.Errorf("%s: %+v", body, p)
		}
	}
}
