package adminapi_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/proto/schedule"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestQueues_ShowEveryColumn(t *testing.T) {
	b := newBench(t, newMemory())
	if r := b.call("GET", "/queues", "").want(200); strings.TrimSpace(string(r.body)) != "[]" {
		t.Fatalf("no servers is %s", r.body)
	}
	b.board.queues = admission.Queues{
		Leader: admission.Leader{Address: "cp-1:9090", Term: 3, Learning: true},
		Rows: []admission.Queue{
			{Server: "gpu-1", Limits: schedule.Limits{MaxConcurrency: 4, TokensPerMinute: 1000}, InFlight: 5, Held: 5, Quarantined: 1, Free: -2, TokensLevel: -30,
				Waiting: 3, OldestWait: 2345 * time.Millisecond, ByApp: []schedule.AppWaiting{{App: "a/团队", Waiting: 2, OldestWait: 2345 * time.Millisecond}, {App: "b", Waiting: 1, OldestWait: -1}}, EstimatedWait: 1500 * time.Millisecond, Tight: true,
				Paused: []admission.Paused{{UpstreamModel: "org/m", Until: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 8*3600))}}},
			{Server: "gpu-2", EstimatedWait: -1, Free: 9, RequestsLevel: 9},
		}}
	want := `[
	 {"server":"gpu-1","limits":{"max_concurrency":4,"requests_per_minute":0,"tokens_per_minute":1000},"in_flight":5,"held":5,"quarantined":1,"free":-2,
	  "requests_available":null,"tokens_available":-30,"waiting":3,"oldest_wait_ms":2345,"waiting_by_app":[{"app":"a/团队","waiting":2,"oldest_wait_ms":2345},{"app":"b","waiting":1,"oldest_wait_ms":null}],
	  "estimated_wait_ms":1500,"regime":"tight","paused":[{"upstream_model":"org/m","until":"2026-01-01T19:04:05Z"}],"leader":{"address":"cp-1:9090","term":3,"learning":true}},
	 {"server":"gpu-2","limits":{"max_concurrency":0,"requests_per_minute":0,"tokens_per_minute":0},"in_flight":0,"held":0,"quarantined":0,"free":null,
	  "requests_available":null,"tokens_available":null,"waiting":0,"oldest_wait_ms":null,"waiting_by_app":[],"estimated_wait_ms":null,"regime":"relaxed","paused":[],
	  "leader":{"address":"cp-1:9090","term":3,"learning":true}}]`
	var got, expected any
	r := b.call("GET", "/queues", "").want(200)
	r.into(&got)
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("got %s", r.body)
	}
}

func TestQueues_AreUnavailableWhileNobodyLeads(t *testing.T) {
	b := newBench(t, newMemory())
	b.board.err = vegaerr.New(vegaerr.Unavailable, "", "no replica leads admission at this moment; try again").WithRetryAfter(2 * time.Second)
	r := b.call("GET", "/queues", "").want(503)
	if p := r.problem(); p.Code != "unavailable" || r.Header.Get("Retry-After") != "2" {
		t.Errorf("%+v %v", p, r.Header)
	}
}
