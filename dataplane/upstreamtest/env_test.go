package upstreamtest

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSettingsFromEnv(t *testing.T) {
	path := filepath.Join(t.TempDir(), "latency")
	if err := os.WriteFile(path, []byte("5ms\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"VEGA_HTTP_ADDR": "127.0.0.1:0", "VEGA_FAKE_LATENCY_FILE": path, "VEGA_FAKE_CHUNKS": "3", "VEGA_FAKE_CHUNK_DELAY": "0s", "VEGA_FAKE_LEDGER": "off"}
	s, err := SettingsFromEnv(func(k string) string { return env[k] })
	if err != nil {
		t.Fatal(err)
	}
	b := s.Config.Default
	if s.Addr != "127.0.0.1:0" || b.Latency != 5*time.Millisecond || b.Chunks != 3 || b.ChunkDelay != 0 || !s.Config.NoLedger {
		t.Fatalf("%+v", s)
	}
	if s, err := SettingsFromEnv(func(string) string { return "" }); err != nil || s.Addr != ":9001" || s.Config.Default.Latency != 30*time.Millisecond {
		t.Fatalf("%+v %v", s, err)
	}
}

func TestSettingsFromEnv_NamesTheWrongVariable(t *testing.T) {
	for name, value := range map[string]string{
		"VEGA_FAKE_LATENCY": "soon", "VEGA_FAKE_CHUNKS": "0", "VEGA_FAKE_CHUNK_DELAY": "-1s", "VEGA_FAKE_LEDGER": "maybe", "VEGA_FAKE_LATENCY_FILE": "/nonexistent/x",
	} {
		_, err := SettingsFromEnv(func(k string) string {
			if k == name {
				return value
			}
			return ""
		})
		if err == nil || !strings.HasPrefix(err.Error(), name+":") {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func TestServe_LetsAnswersFinishWhenStopped(t *testing.T) {
	hold := make(chan struct{})
	s := New(Config{Default: Behavior{HoldHead: hold}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + ln.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	served, status := make(chan error, 1), make(chan int, 1)
	go func() { served <- s.Serve(ctx, ln, 10*time.Second) }()
	r := newRequest(t, t.Context(), s, "/v1/chat/completions", "a", chatJSON)
	c := client(t)
	go func() {
		resp, err := c.Do(r)
		if err != nil {
			status <- 0
			return
		}
		_ = resp.Body.Close()
		status <- resp.StatusCode
	}()
	if err := s.WaitInFlight(within(t, 5*time.Second), 1); err != nil {
		t.Fatal(err)
	}
	stop()
	close(hold)
	if got := <-status; got != http.StatusOK {
		t.Fatalf("the answer in progress got %d", got)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}
