package e2e

import (
	"context"
	"encoding/hex"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
)

const clientTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// TestTrace_ChatCompletionIsASpanInGenAITerms 看打开追踪的节点：一次请求一个 span，接在客户端之后，上游接在它之后。
func TestTrace_ChatCompletionIsASpanInGenAITerms(t *testing.T) {
	rec := newSpanReceiver(t)
	up := upstream(t, upstreamtest.Config{})
	env := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + rec.addr, "OTEL_BSP_SCHEDULE_DELAY=50"}
	r := start(t, stack.Options{Nodes: 1, DataplaneEnv: env, ControlplaneEnv: env})
	r.apply(doc{"servers": list{server("traced", up)}, "models": list{model("late", "traced", "f"), model("late-500", "traced", "f?status=400")}})
	a := r.with(r.key, http.MethodPost, "/chat/completions", chatBody, "traceparent", clientTrace)
	if a.status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	span := rec.await(t, "vega-dataplane", func(s map[string]string) bool { return s["vega.request_id"] == a.header.Get("X-Request-Id") })
	for k, want := range map[string]string{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "late", "http.response.status_code": "200",
		"vega.app": "team-a", "vega.server": "traced", "vega.attempts": "1", "trace": "0af7651916cd43dd8448eb211c80319c", "parent": "b7ad6b7169203331", "kind": "SPAN_KIND_SERVER",
	} {
		if span[k] != want {
			t.Errorf("%s is %q, want %q", k, span[k], want)
		}
	}
	e := up.Ledger()[0]
	for k, want := range map[string]int64{"gen_ai.usage.input_tokens": int64(e.Prompt), "gen_ai.usage.output_tokens": int64(e.Completion)} {
		if span[k] != strconv.FormatInt(want, 10) {
			t.Errorf("%s is %q, the upstream reported %d", k, span[k], want)
		}
	}
	if got := e.Header.Get("Traceparent"); !strings.HasPrefix(got, "00-0af7651916cd43dd8448eb211c80319c-"+span["id"]) {
		t.Errorf("the upstream was given %q, not our span %s", got, span["id"])
	}
	failed := r.chat(0, "nope")
	span = rec.await(t, "vega-dataplane", func(s map[string]string) bool { return s["vega.request_id"] == failed.header.Get("X-Request-Id") })
	if span["error.type"] != "model_not_found" || span["status"] != "STATUS_CODE_ERROR" {
		t.Errorf("a refused request: %v", span)
	}
	rec.await(t, "vega-controlplane", func(s map[string]string) bool { return s["kind"] == "SPAN_KIND_SERVER" })
	if s := rec.everything(); strings.Contains(s, r.key) || strings.Contains(s, r.Admin.Token) || strings.Contains(s, "sk-traced") {
		t.Error("a span holds a secret")
	}
}

// TestTrace_OffByDefault 看没有设置的节点：不送任何 span，客户端的 traceparent 原样到上游。
func TestTrace_OffByDefault(t *testing.T) {
	rec := newSpanReceiver(t)
	up := upstream(t, upstreamtest.Config{})
	r := start(t, stack.Options{Nodes: 1})
	r.apply(doc{"servers": list{server("plain", up)}, "models": list{model("late", "plain", "f")}})
	if a := r.with(r.key, http.MethodPost, "/chat/completions", chatBody, "traceparent", clientTrace); a.status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	if got := up.Ledger()[0].Header.Get("Traceparent"); got != clientTrace {
		t.Errorf("the upstream was given %q, want the client's own", got)
	}
	if s := rec.everything(); s != "" {
		t.Errorf("spans came: %s", s)
	}
}

// spanReceiver 是一个 OTLP 收集器。
type spanReceiver struct {
	collector.UnimplementedTraceServiceServer
	addr  string
	mu    sync.Mutex
	batch []*trace.ResourceSpans
}

func newSpanReceiver(t *testing.T) *spanReceiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rec := &spanReceiver{addr: l.Addr().String()}
	s := grpc.NewServer()
	collector.RegisterTraceServiceServer(s, rec)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { s.Stop(); serving.Wait() })
	return rec
}

// Export 实现 TraceServiceServer。
func (rec *spanReceiver) Export(_ context.Context, q *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.batch = append(rec.batch, q.GetResourceSpans()...)
	return &collector.ExportTraceServiceResponse{}, nil
}

// await 等 service 送来一个满足 ok 的 span，摊平成名与值：属性之外有 id、parent、trace、kind、status。
func (rec *spanReceiver) await(t *testing.T, service string, ok func(map[string]string) bool) map[string]string {
	t.Helper()
	var found map[string]string
	eventually(t, 15*time.Second, "a span of "+service, func() bool {
		rec.mu.Lock()
		defer rec.mu.Unlock()
		for _, group := range rec.batch {
			if flatten(group.GetResource().GetAttributes())["service.name"] != service {
				continue
			}
			for _, scope := range group.GetScopeSpans() {
				for _, s := range scope.GetSpans() {
					if flat := flattenSpan(s); ok(flat) {
						found = flat
						return true
					}
				}
			}
		}
		return false
	})
	return found
}

func (rec *spanReceiver) everything() string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var b strings.Builder
	for _, group := range rec.batch {
		b.WriteString(group.String())
	}
	return b.String()
}

func flattenSpan(s *trace.Span) map[string]string {
	out := flatten(s.GetAttributes())
	out["id"], out["parent"], out["trace"] = hex.EncodeToString(s.GetSpanId()), hex.EncodeToString(s.GetParentSpanId()), hex.EncodeToString(s.GetTraceId())
	out["kind"], out["status"], out["name"] = s.GetKind().String(), s.GetStatus().GetCode().String(), s.GetName()
	return out
}

func flatten(attributes []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range attributes {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[a.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			out[a.GetKey()] = strconv.FormatInt(v.IntValue, 10)
		}
	}
	return out
}
