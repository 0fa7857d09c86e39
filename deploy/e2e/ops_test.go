package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

func TestOps_HealthMetricsAndProfilesStayOnTheOpsListener(t *testing.T) {
	r := start(t, stack.Options{Nodes: 1, ControlplaneEnv: []string{"VEGA_PPROF=false"}})
	r.node("VEGA_PPROF=true")
	if err := r.AwaitReady(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	r.chat(0, "chat")
	controlOps := strings.TrimSuffix(r.Controlplane.Ready, "/readyz")
	for _, ops := range []string{r.OpsURL(0), controlOps} {
		for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/debug/pprof/": 404, "/debug/pprof/cmdline": 404, "/v1/models": 404, "/api/v1/servers": 404} {
			if a := get(t, ops+path); a.status != want {
				t.Errorf("%s%s: %d, want %d", ops, path, a.status, want)
			}
		}
	}
	if a := get(t, r.OpsURL(1)+"/debug/pprof/cmdline"); a.status != http.StatusOK {
		t.Errorf("pprof with VEGA_PPROF=true: %d", a.status)
	}
	metrics := get(t, r.OpsURL(0)+"/metrics").body
	for _, want := range []string{"go_goroutines ", "process_open_fds ", "vega_config_revision 1\n", "vega_config_stream_connected 1\n", "vega_usage_stream_connected 1\n", "vega_client_connections "} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the node's metrics lack %q", want)
		}
	}
	if strings.Contains(metrics, r.key) {
		t.Error("a metric shows a key")
	}
	if m := get(t, controlOps+"/metrics").body; !strings.Contains(m, "go_goroutines ") || !strings.Contains(m, "vega_") {
		t.Error("the control plane's metrics lack its own figures")
	}
	for _, public := range []string{strings.TrimSuffix(r.APIURL(0), "/v1"), strings.TrimSuffix(r.APIURL(1), "/v1"), r.Admin.URL} {
		if a := get(t, public+"/healthz"); a.status != http.StatusOK || strings.TrimSpace(a.body) != "ok" {
			t.Errorf("%s/healthz: %+v", public, a)
		}
		for _, path := range []string{"/metrics", "/readyz", "/debug/pprof/", "/debug/pprof/heap"} {
			if a := get(t, public+path); a.status == http.StatusOK && (strings.Contains(a.body, "go_goroutines") || strings.Contains(a.body, "profile") || strings.TrimSpace(a.body) == "ok") {
				t.Errorf("%s%s is offered on the public listener", public, path)
			}
		}
	}
}

func TestOps_ReadinessFollowsTheConfigurationAndTheDrain(t *testing.T) {
	r := start(t, stack.Options{})
	p := r.node("VEGA_CONTROLPLANE_ADDR=127.0.0.1:1")
	defer p.Kill()
	a := get(t, r.OpsURL(0)+"/readyz")
	if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "no configuration yet") {
		t.Errorf("a node without configuration: %+v", a)
	}
	if a := get(t, r.OpsURL(0)+"/healthz"); a.status != http.StatusOK {
		t.Errorf("it is alive all the same: %+v", a)
	}
	if a := r.chat(0, "chat"); a.status != http.StatusServiceUnavailable || a.code() != "not_ready" || a.header.Get("Retry-After") == "" {
		t.Errorf("its answer: %+v", a)
	}
}

func TestOps_DrainThroughTheAdminAPI(t *testing.T) {
	r := start(t, stack.Options{Nodes: 2})
	r.apply(doc{"models": list{model("late", "up", "s?latency=0&chunks=20&chunk_delay=100ms")}})
	streamed := make(chan error, 1)
	begun := make(chan struct{})
	go func() { streamed <- r.wholeStream(0, "late", begun) }()
	<-begun
	if err := r.Admin.Call(t.Context(), http.MethodPost, "/nodes/dataplane-1/drain", nil, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the draining node is not ready or gone", func() bool {
		resp, err := http.Get(r.OpsURL(0) + "/readyz")
		if err != nil {
			return true
		}
		return answerOf(t, resp).status == http.StatusServiceUnavailable
	})
	if err := <-streamed; err != nil {
		t.Errorf("the stream did not survive the drain: %v", err)
	}
	select {
	case <-r.Dataplanes[0].Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the node did not end")
	}
	if code := r.Dataplanes[0].ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if a := r.chat(1, "chat"); a.status != http.StatusOK {
		t.Errorf("the other node: %+v", a)
	}
	r.awaitUsage(2)
	if names := r.connectedNodes(); len(names) != 1 || names[0] != "dataplane-2" {
		t.Errorf("connected: %v", names)
	}
}

// wholeStream 收一个流到 [DONE]；第一个字节到时关闭 begun。
func (r *rig) wholeStream(i int, model string, begun chan<- struct{}) error {
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.APIURL(i)+"/chat/completions",
		strings.NewReader(fmt.Sprintf(`{"model":%q,"stream":true,"messages":[]}`, model)))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		close(begun)
		return err
	}
	defer resp.Body.Close()
	var got bytes.Buffer
	var once bool
	buf := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buf)
		got.Write(buf[:n])
		if !once {
			once = true
			close(begun)
		}
		if err != nil {
			if !strings.Contains(got.String(), "[DONE]") {
				return fmt.Errorf("ended with %w after %q", err, got.String())
			}
			return nil
		}
	}
}

// get 取一个网址，不带凭证。
func get(t *testing.T, url string) answer {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	return answerOf(t, resp)
}

// logLine 是日志的一行；值按 JSON 的样子。
type logLine map[string]any

// jsonLog 读一个进程的日志：每一行都必须是 JSON。头一次启动打到标准输出的一次性口令不是日志，它与日志落在一个文件里。
func jsonLog(t *testing.T, p *stack.Process) []logLine {
	t.Helper()
	raw, err := os.ReadFile(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	var out []logLine
	for line := range bytes.Lines(raw) {
		if bytes.HasPrefix(line, []byte("first start: sign in to the console as admin ")) {
			continue
		}
		var l logLine
		if err := json.Unmarshal(line, &l); err != nil {
			t.Errorf("%s logged a line that is not JSON: %s", p.Name, line)
			continue
		}
		out = append(out, l)
	}
	return out
}
