package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

func TestReport_OneLinePerRequestWithTypedFields(t *testing.T) {
	n, _ := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{PromptTokens: 11, CompletionTokens: 5}})
	a := n.chat(ask)
	want(t, a, 200, "")
	n.chat(`{"model":"nope"}`)
	for deadline := time.Now().Add(3 * time.Second); strings.Count(n.logs.String(), "\n") < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("log %q", n.logs.String())
		}
	}
	lines := strings.Split(strings.TrimSpace(n.logs.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]any{
		"request_id": a.header.Get("X-Request-Id"), "app": "team", "model": "m", "server": "s1", "endpoint": "chat.completions",
		"status": 200.0, "outcome": "ok", "attempts": 1.0, "prompt_tokens": 11.0, "completion_tokens": 5.0, "stream": false, "bytes": float64(len(a.body)),
	} {
		if got[field] != want {
			t.Errorf("%s = %v, want %v", field, got[field], want)
		}
	}
	if !strings.Contains(lines[1], `"outcome":"refused"`) || !strings.Contains(lines[1], `"code":"model_not_found"`) {
		t.Errorf("%s", lines[1])
	}
}

func TestReport_MetricsAreCountedWithBoundedLabels(t *testing.T) {
	n, u := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{CompletionTokens: 5}})
	want(t, n.chat(ask), 200, "")
	want(t, n.chat(`{"model":"made-up-by-a-client"}`), 404, "model_not_found")
	settle(t, n, u)
	families, err := n.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			sums[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			for _, l := range m.GetLabel() {
				if strings.Contains(l.GetValue(), "made-up") {
					t.Errorf("%s has a label from a client", f.GetName())
				}
			}
		}
	}
	if sums["vega_attempts_total"] != 1 || sums["vega_refusals_total"] != 1 || sums["vega_permits_out"] != 0 || sums["vega_tokens_total"] < 5 {
		t.Fatalf("%v", sums)
	}
}

func TestReport_TraceJoinsTheClientsAndGoesUp(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
	u := upstream(t, upstreamtest.Config{})
	n := startTraced(t, newSnap().server("s1", u.URL()+"/v1").model("m", "s1").compile(t), provider.Tracer("test"))
	const parent = "4bf92f3577b34da6a3ce929d0e0e4736"
	want(t, n.chat(ask, func(r *http.Request) { r.Header.Set("Traceparent", "00-"+parent+"-00f067aa0ba902b7-01") }), 200, "")
	for deadline := time.Now().Add(3 * time.Second); len(spans.Ended()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no span")
		}
	}
	s := spans.Ended()[0]
	if s.SpanContext().TraceID().String() != parent || s.Name() != "chat.completions" {
		t.Fatalf("%v %s", s.SpanContext(), s.Name())
	}
	if got := u.Ledger()[0].Header.Get("Traceparent"); !strings.Contains(got, parent) || !strings.Contains(got, s.SpanContext().SpanID().String()) {
		t.Fatalf("upstream saw %q", got)
	}
	var model bool
	for _, a := range s.Attributes() {
		model = model || a.Key == "gen_ai.request.model" && a.Value.AsString() == "m"
	}
	if !model {
		t.Fatalf("%v", s.Attributes())
	}
}
