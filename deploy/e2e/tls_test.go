package e2e

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

func TestTLS_NodesTrustOnlyTheControlplaneOfTheirCA(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue("grpc")
	r := start(t, stack.Options{ControlplaneEnv: []string{"VEGA_GRPC_TLS_CERT=" + cert, "VEGA_GRPC_TLS_KEY=" + key}})
	r.node("VEGA_GRPC_TLS_CA=" + ca.file())
	if err := r.AwaitReady(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if a := r.chat(0, "chat"); a.status != http.StatusOK {
		t.Fatalf("over TLS: %+v", a)
	}
	for name, c := range map[string]struct{ env, why string }{
		"no CA, so plaintext on loopback": {"VEGA_GRPC_TLS_CA=", ""},
		"another CA":                      {"VEGA_GRPC_TLS_CA=" + newAuthority(t).file(), "certificate"},
	} {
		p := r.node(c.env)
		i := len(r.Dataplanes) - 1
		eventually(t, 15*time.Second, name+": the node says why it has no configuration", func() bool {
			log := logOf(t, p)
			return strings.Contains(log, "configuration stream ended") && strings.Contains(log, c.why)
		})
		if a := r.chat(i, "chat"); a.status != http.StatusServiceUnavailable || a.code() != "not_ready" {
			t.Errorf("%s: %+v", name, a)
		}
		p.Kill() // 没有控制面的节点停下时会为交清用量等 30 秒
	}
	if names := r.connectedNodes(); len(names) != 1 || names[0] != "dataplane-1" {
		t.Errorf("connected: %v", names)
	}
}

func TestJoin_AWrongTokenIsRefusedAndSaidOnBothSides(t *testing.T) {
	r := start(t, stack.Options{})
	wrong := strings.Repeat("w", 40)
	p := r.node("VEGA_JOIN_TOKEN_FILE=", "VEGA_JOIN_TOKEN="+wrong)
	eventually(t, 15*time.Second, "both logs say that the join token is wrong", func() bool {
		return strings.Contains(logOf(t, p), "join token does not match") && strings.Contains(logOf(t, r.Controlplane), "refused a node")
	})
	if a := r.chat(0, "chat"); a.status != http.StatusServiceUnavailable || a.code() != "not_ready" {
		t.Errorf("a node with a wrong token answers %+v", a)
	}
	p.Kill()
	if names := r.connectedNodes(); len(names) != 0 {
		t.Errorf("it connected: %v", names)
	}
	if strings.Contains(logOf(t, p)+logOf(t, r.Controlplane), wrong) {
		t.Error("a log shows the token")
	}
}

func TestTLS_BothServicesOfferHTTPS(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue("http")
	env := []string{"VEGA_HTTP_TLS_CERT=" + cert, "VEGA_HTTP_TLS_KEY=" + key}
	r := start(t, stack.Options{Nodes: 1})
	r.node(env...)
	twin, admin := r.httpsTwin(env)
	if err := twin.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { twin.Stop(20 * time.Second) })
	if err := r.AwaitReady(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	client := ca.client()
	for name, c := range map[string]struct{ method, url, token, body, want string }{
		"models":  {"GET", "https" + strings.TrimPrefix(r.APIURL(1), "http") + "/models", r.key, "", `"chat"`},
		"stream":  {"POST", "https" + strings.TrimPrefix(r.APIURL(1), "http") + "/chat/completions", r.key, `{"model":"chat","stream":true,"messages":[]}`, "[DONE]"},
		"admin":   {"GET", admin.URL + "/api/v1/servers", admin.Token, "", "[]"},
		"console": {"GET", admin.URL + "/", "", "", "<"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, c.url, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+c.token)
		resp, err := client.Do(req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if a := answerOf(t, resp); a.status != http.StatusOK || !strings.Contains(a.body, c.want) || resp.ProtoMajor != 2 {
			t.Errorf("%s: HTTP/%d %d %.200s", name, resp.ProtoMajor, a.status, a.body)
		}
		plain, err := http.Get("http" + strings.TrimPrefix(c.url, "https"))
		if err != nil {
			continue // 断开也是拒绝
		}
		if a := answerOf(t, plain); a.status != http.StatusBadRequest {
			t.Errorf("%s: plaintext on the TLS port was answered with %d", name, a.status)
		}
	}
}

// httpsTwin 是另一个控制面，自带数据库，公开监听用 TLS。
func (r *rig) httpsTwin(env []string) (*stack.Process, *stack.Admin) {
	p, admin := r.twin(stack.Options{ControlplaneEnv: env})
	admin.URL = "https" + strings.TrimPrefix(admin.URL, "http")
	return p, admin
}

// node 加一个数据面；到它应答为止，不等配置。
func (r *rig) node(env ...string) *stack.Process {
	r.t.Helper()
	p, err := r.AddDataplane(r.t.Context(), env...)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (r *rig) connectedNodes() (names []string) {
	r.t.Helper()
	var nodes []struct {
		ID        string
		Connected bool
	}
	if err := r.Admin.Call(r.t.Context(), http.MethodGet, "/nodes", nil, &nodes); err != nil {
		r.t.Fatal(err)
	}
	for _, n := range nodes {
		if n.Connected {
			names = append(names, n.ID)
		}
	}
	return names
}

// logOf 是进程至今的全部日志。
func logOf(t *testing.T, p *stack.Process) string {
	t.Helper()
	b, err := os.ReadFile(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
