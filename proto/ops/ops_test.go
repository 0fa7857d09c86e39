package ops

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthcheck_TellsReadyFromNotReady(t *testing.T) {
	var err error
	s := httptest.NewServer(Handler(Config{Ready: func(context.Context) error { return err }}, NewRegistry()))
	defer s.Close()
	addr := strings.TrimPrefix(s.URL, "http://")
	if got := Healthcheck(t.Context(), addr); got != nil {
		t.Fatalf("ready: %v", got)
	}
	err = errors.New("no configuration yet")
	if got := Healthcheck(t.Context(), addr); got == nil || !strings.Contains(got.Error(), "no configuration yet") {
		t.Fatalf("not ready: %v", got)
	}
	_, port, _ := strings.Cut(addr, ":")
	err = nil
	if got := Healthcheck(t.Context(), ":"+port); got != nil {
		t.Fatalf("address without a host: %v", got)
	}
}

func TestHandler_KeepsProfilingShutUnlessAskedFor(t *testing.T) {
	for on, want := range map[bool]int{false: 404, true: 200} {
		w := httptest.NewRecorder()
		Handler(Config{PProf: on}, NewRegistry()).ServeHTTP(w, httptest.NewRequest("GET", "/debug/pprof/cmdline", nil))
		if w.Code != want {
			t.Errorf("pprof=%t: status %d", on, w.Code)
		}
	}
	w := httptest.NewRecorder()
	Handler(Config{}, NewRegistry()).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if !strings.Contains(w.Body.String(), "go_goroutines") {
		t.Error("no runtime metrics")
	}
}
