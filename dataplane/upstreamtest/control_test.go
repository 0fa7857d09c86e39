package upstreamtest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// control 调用控制接口，返回状态与体。
func control(t *testing.T, s *Server, method, path, body string) (int, string) {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
	resp, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data)
}

func TestControl_RuleAppliesToItsModelSoManyTimes(t *testing.T) {
	s := started(t, Config{})
	status, body := control(t, s, "PUT", "/control/behavior", `{"model":"gpt-4o","count":2,"behavior":{"status":503,"retry_after":"3","latency":"1ms","header":["X-A: b"]}}`)
	if status != 200 {
		t.Fatal(status, body)
	}
	if _, list := control(t, s, "GET", "/control/behavior", ""); !strings.Contains(list, `"retry_after":["3"]`) {
		t.Fatal(list)
	}
	other := `{"model":"other","messages":[]}`
	for i, step := range []struct {
		body string
		want int
	}{{chatJSON, 503}, {other, 200}, {chatJSON, 503}, {chatJSON, 200}} {
		got := post(t, s, "/v1/chat/completions", "x", step.body)
		if got.status != step.want || (step.want == 503 && got.header.Get("X-A") != "b") {
			t.Fatalf("step %d: %d", i, got.status)
		}
	}
	if _, list := control(t, s, "GET", "/control/behavior", ""); strings.TrimSpace(list) != "[]" {
		t.Fatalf("used-up rule is still listed: %s", list)
	}
}

func TestControl_RuleForAllAndClear(t *testing.T) {
	s := started(t, Config{})
	control(t, s, "PUT", "/control/behavior", `{"behavior":{"status":500}}`)
	if got := post(t, s, "/v1/embeddings", "x", `{"input":"a"}`).status; got != 500 {
		t.Fatal(got)
	}
	control(t, s, "DELETE", "/control/behavior", "")
	if got := post(t, s, "/v1/embeddings", "x", `{"input":"a"}`).status; got != 200 {
		t.Fatal(got)
	}
}

func TestControl_BadInputIsRefusedByName(t *testing.T) {
	s := started(t, Config{})
	for body, want := range map[string]string{
		`{"behavior":{"latencyy":"1s"}}`:  "latencyy",
		`{"behavior":{"latency":"soon"}}`: "latency",
		`{"behavior":{"half":"maybe"}}`:   "half",
		`{"behavior":{"status":99}}`:      "status",
		`{"behaviour":{}}`:                "behaviour",
		`{"count":-1}`:                    "count",
		`{"behavior":{"chunks":null}}`:    "chunks",
		`not json`:                        "invalid",
	} {
		if status, got := control(t, s, "PUT", "/control/behavior", body); status != 400 || !strings.Contains(got, want) {
			t.Errorf("%s: %d %s", body, status, got)
		}
	}
	if got := post(t, s, "/v1/chat/completions", "x", chatJSON).status; got != 200 {
		t.Fatalf("a refused rule took effect: %d", got)
	}
}

func TestControl_LimitsLedgerAndStats(t *testing.T) {
	s := started(t, Config{})
	if status, body := control(t, s, "PUT", "/control/limits", `{"requests_per_minute":1}`); status != 200 {
		t.Fatal(body)
	}
	post(t, s, "/v1/chat/completions", "abc-1", chatJSON)
	post(t, s, "/v1/chat/completions", "abc-2", chatJSON)
	post(t, s, "/v1/chat/completions", "abcd-1", chatJSON)

	var rows []Entry
	_, body := control(t, s, "GET", "/control/ledger?id=abc", "")
	if err := json.Unmarshal([]byte(body), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].Status != 200 || rows[0].Prompt == 0 || rows[1].Status != 429 || rows[0].Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s", body)
	}
	var stats Stats
	_, body = control(t, s, "GET", "/control/stats", "")
	if err := json.Unmarshal([]byte(body), &stats); err != nil {
		t.Fatal(err)
	}
	if stats.Requests != 3 || stats.Refused != 2 || stats.ByStatus[429] != 2 || stats.Usage != rows[0].Usage {
		t.Fatalf("%+v", stats)
	}
	if status, _ := control(t, s, "DELETE", "/control/ledger", ""); status != 204 || len(s.Ledger()) != 0 || s.Stats().Requests != 0 {
		t.Fatalf("ledger was not cleared: %+v", s.Stats())
	}
}

func TestCloseIdle_MakesTheNextRequestUseANewConnection(t *testing.T) {
	s := started(t, Config{})
	c := client(t)
	ask := func() {
		resp, err := c.Do(newRequest(t, t.Context(), s, "/v1/chat/completions", "x", chatJSON))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	ask()
	ask()
	if n := s.Stats().Connections; n != 1 {
		t.Fatalf("%d connections", n)
	}
	s.CloseIdleConnections()
	c.CloseIdleConnections()
	ask()
	if n := s.Stats().Connections; n != 2 {
		t.Fatalf("%d connections", n)
	}
}
