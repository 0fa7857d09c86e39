package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

const planted = "planted-secret-0123456789-0123456789"

// TestAccessLog_OneLinePerRequestAndNeverASecret 把一个认得出的秘密放进每个放得下的地方，再翻遍所有日志与数据目录之外的文件。
func TestAccessLog_OneLinePerRequestAndNeverASecret(t *testing.T) {
	r := start(t, stack.Options{Nodes: 1, DataplaneEnv: []string{"VEGA_LOG_LEVEL=debug"}, ControlplaneEnv: []string{"VEGA_LOG_LEVEL=debug"}})
	up := doc{"name": "credential", "base_url": r.UpstreamURL, "api_key": "upstream-" + planted, "headers": doc{"X-Team": "header-" + planted}}
	dead := doc{"name": "dead", "base_url": "http://127.0.0.1:1/v1", "api_key": "dead-" + planted, "proxy_url": "http://user:proxy-" + planted + "@127.0.0.1:1"}
	r.apply(doc{"servers": list{up, dead}, "models": list{model("late", "credential", "f?latency=0"), model("late-dead", "dead", "f"), model("late-500", "credential", "f?status=500&error_message=echo")},
		"apps": list{doc{"name": "team-a", "models": list{"chat", "late*"}}, doc{"name": "other", "keys": list{doc{"name": "k", "secret": "key-" + planted}}}}})
	requests := []struct {
		key, model, extra string
		status            int
	}{
		{r.key, "late", "", 200}, {r.key, "late", `,"stream":true`, 200}, {"key-" + planted, "late", "", 200}, {"unknown-" + planted, "late", "", 401},
		{r.key, "nope-" + "x", "", 404}, {r.key, "secret", "", 403}, {r.key, "late-dead", "", 502}, {r.key, "late-500", "", 500}, {r.key, "late", `,"model":"late"`, 400},
	}
	want := map[string]int{}
	for _, q := range requests {
		body := fmt.Sprintf(`{"model":%q%s,"messages":[{"role":"user","content":"body %s"}],"user":%q}`, q.model, q.extra, planted, "user-"+planted)
		a := r.with(q.key, http.MethodPost, "/chat/completions?query="+planted, body, "Cookie", "c="+planted, "X-Custom", planted, "X-Request-Id", "mine-1")
		if a.status != q.status {
			t.Errorf("%s%s: status %d, want %d: %s", q.model, q.extra, a.status, q.status, a.body)
		}
		want[a.header.Get("X-Request-Id")] = q.status
	}
	models := r.with(r.key, http.MethodGet, "/models", "")
	want[models.header.Get("X-Request-Id")] = models.status

	eventually(t, 5*time.Second, "every request has its line", func() bool { return len(accessLines(t, r)) >= len(want) })
	for id, lines := range accessLines(t, r) {
		status, ours := want[id]
		switch {
		case !ours:
			t.Errorf("a line for a request nobody made: %v", lines)
		case len(lines) != 1:
			t.Errorf("%d lines for one request: %v", len(lines), lines)
		default:
			checkAccessLine(t, lines[0], status)
		}
	}
	r.notLogged(planted, r.key, r.Admin.Token)
	r.notStored("upstream-"+planted, "dead-"+planted, "key-"+planted, r.key)
}

func accessLines(t *testing.T, r *rig) map[string][]logLine {
	t.Helper()
	out := map[string][]logLine{}
	for _, l := range jsonLog(t, r.Dataplanes[0]) {
		if l["message"] == "request" {
			id, _ := l["request_id"].(string)
			out[id] = append(out[id], l)
		}
	}
	return out
}

func checkAccessLine(t *testing.T, l logLine, status int) {
	t.Helper()
	if l["status"] != float64(status) {
		t.Errorf("status %v, want %d: %v", l["status"], status, l)
	}
	fields := []string{"time", "request_id", "endpoint", "outcome", "queue_ms", "upstream_ms", "total_ms"}
	if status != http.StatusUnauthorized {
		fields = append(fields, "app")
	}
	if status == http.StatusOK && l["endpoint"] == "chat.completions" {
		fields = append(fields, "model", "server", "prompt_tokens", "completion_tokens", "client_request_id")
		if l["prompt_tokens"] == float64(0) || l["completion_tokens"] == float64(0) {
			t.Errorf("no tokens: %v", l)
		}
	}
	if status >= 400 && status < 500 {
		fields = append(fields, "code")
	}
	for _, f := range fields {
		if _, ok := l[f]; !ok {
			t.Errorf("the line has no %s: %v", f, l)
		}
	}
}

// notLogged 翻遍所有进程的日志。
func (r *rig) notLogged(secrets ...string) {
	r.t.Helper()
	r.absent(filepath.Dir(r.Controlplane.Log), secrets)
}

// notStored 翻遍数据目录，连同数据库的文件与节点盘上的配置：上游凭证与钥匙在盘上只有密文与 MAC。
func (r *rig) notStored(secrets ...string) {
	r.t.Helper()
	r.absent(filepath.Dir(filepath.Dir(r.Controlplane.Log)), secrets)
}

func (r *rig) absent(root string, secrets []string) {
	r.t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // 数据库自己的临时文件可以随时消失
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		for _, s := range secrets {
			if i := strings.Index(string(raw), s); i >= 0 {
				r.t.Errorf("%s holds a secret: …%q…", path, raw[max(0, i-80):min(len(raw), i+80)])
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// with 发一个带额外头的请求；header 是名与值相间。
func (r *rig) with(key, method, path, body string, header ...string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.APIURL(0)+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	return answerOf(r.t, resp)
}

func TestAdminLog_OneLinePerWriteWithWhoWhatAndRevision(t *testing.T) {
	r := start(t, stack.Options{Nodes: 1})
	writes := []struct {
		method, path, object string
		body                 any
	}{
		{"POST", "/servers?note=why-not", "server gpu-7", doc{"name": "gpu-7", "base_url": "http://127.0.0.1:1/v1", "api_key": "sk-" + planted}},
		{"PUT", "/servers/gpu-7", "server gpu-7", doc{"name": "gpu-7", "base_url": "http://127.0.0.1:2/v1"}},
		{"POST", "/apps/team-a/keys", "key team-a/ci", doc{"name": "ci", "secret": "vg-" + planted}},
		{"DELETE", "/apps/team-a/keys/ci", "key team-a/ci", nil},
		{"DELETE", "/servers/gpu-7", "server gpu-7", nil},
		{"PUT", "/config", "config", doc{"apps": list{doc{"name": "team-z"}}}},
		{"POST", "/revisions/1/rollback", "revision 1", nil},
	}
	before := len(adminWrites(t, r))
	for i, w := range writes {
		if err := r.Admin.Call(t.Context(), w.method, w.path, w.body, nil); err != nil {
			t.Fatal(err)
		}
		lines := adminWrites(t, r)[before:]
		if len(lines) != i+1 {
			t.Fatalf("%s %s: %d lines for %d writes", w.method, w.path, len(lines), i+1)
		}
		l := lines[i]
		if l["revision"] != float64(i+2) || l["actor"] == "" || l["actor"] == nil || l["method"] != w.method || l["request_id"] == nil || l["changes"] == "" {
			t.Errorf("%s %s: %v", w.method, w.path, l)
		}
		if object, _ := l["object"].(string); !strings.Contains(object, strings.TrimPrefix(w.object, "revision ")) {
			t.Errorf("%s %s: object %q, want %q", w.method, w.path, object, w.object)
		}
	}
	for range 3 {
		if err := r.Admin.Call(t.Context(), "GET", "/servers", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(adminWrites(t, r)) - before; got != len(writes) {
		t.Errorf("%d lines for %d writes: reading is no write", got, len(writes))
	}
	r.notLogged(planted)
	r.notStored(planted)
}

func adminWrites(t *testing.T, r *rig) (out []logLine) {
	t.Helper()
	for _, l := range jsonLog(t, r.Controlplane) {
		if l["message"] == "admin write" {
			out = append(out, l)
		}
	}
	return out
}
