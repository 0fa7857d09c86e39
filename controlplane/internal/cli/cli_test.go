package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/cli"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/live"
	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/controlplane/internal/reconcile"
	"github.com/vega-gateway/vega/controlplane/internal/seal"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const token = "test-token-0123456789-0123456789"

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(pgtest.Wrap(m),
		// 客户端留着空闲连接，进程结束即断。
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// fleet 在等的时候照稿作答，其余不会被问到。
type fleet struct {
	outcome push.Outcome
	err     error
}

func (*fleet) Nodes(context.Context) ([]push.Node, error) { return nil, nil }
func (*fleet) Forget(context.Context, string) error       { return nil }
func (*fleet) Drain(context.Context, string) error        { return nil }
func (f *fleet) WaitApplied(context.Context, uint64, time.Duration) (push.Outcome, error) {
	return f.outcome, f.err
}

type noUsage struct{}

func (noUsage) Query(context.Context, usage.Query) (usage.Result, error) { return usage.Result{}, nil }

type noBudgets struct{}

func (noBudgets) Statuses(context.Context, []budget.Plan) ([]budget.Status, error) { return nil, nil }

// shell 是一台真的管理 API（真的 PostgreSQL），与对它说话的命令行。
type shell struct {
	t      *testing.T
	fleet  *fleet
	ledger *ledger
	// people 是操作员。
	people *identity.Service
	env    []string
	dir    string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	store, err := postgres.Connect(t.Context(), pgtest.New(t, migrate), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	ring, err := seal.NewKeyring(seal.GenerateKey())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Unlock(t.Context(), ring); err != nil {
		t.Fatal(err)
	}
	s := &shell{t: t, fleet: &fleet{}, ledger: &ledger{}, dir: t.TempDir()}
	if s.people, err = identity.New(identity.Config{Argon: identity.Params{MemoryKiB: 64, Passes: 1}}, identity.Deps{Store: store, Log: zap.NewNop()}); err != nil {
		t.Fatal(err)
	}
	h, err := adminapi.New(adminapi.Config{Token: token}, adminapi.Deps{
		Store: store, Fleet: s.fleet, Usage: noUsage{}, Reconcile: reconcile.New(s.ledger, store), Queues: noQueues{}, Budgets: noBudgets{}, Live: noLive{}, Settings: store, Identity: s.people, Requests: usage.NewRequestReader(usage.RequestConfig{}, store), Mint: store.Mint(), Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	s.env = []string{"VEGA_ADMIN_URL=" + ts.URL, "VEGA_ADMIN_TOKEN=" + token, "UPSTREAM_KEY=sk-from-env-1234"}
	return s
}

// noLive 顶替总览与事件；命令行不问它。
type noLive struct{}

func (noLive) Overview(context.Context) (*live.Overview, error) { return &live.Overview{}, nil }

func (noLive) Subscribe(string, []live.Topic) (*live.Subscription, error) {
	return nil, vegaerr.New(vegaerr.Unavailable, "", "nothing is live here")
}

// noQueues 顶替准入；命令行不问它。
type noQueues struct{}

func (noQueues) Queues(context.Context) (admission.Queues, error) { return admission.Queues{}, nil }

func migrate(ctx context.Context, url string) error {
	_, err := postgres.Migrate(ctx, url)
	return err
}

func (s *shell) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// run 像命令那样走完一个动词，给出它写的与退出码。
func (s *shell) run(verb func(cli.Streams) error, stdin string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	err := verb(cli.Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs})
	if err != nil {
		cli.Report(&errs, err)
	}
	return out.String(), errs.String(), cli.ExitCode(err)
}

func (s *shell) apply(file string, o cli.ApplyOptions) (stdout, stderr string, code int) {
	return s.run(func(st cli.Streams) error { return cli.Apply(s.t.Context(), s.env, st, file, o) }, "")
}

func (s *shell) export() string {
	s.t.Helper()
	out, errs, code := s.run(func(st cli.Streams) error { return cli.Export(s.t.Context(), s.env, st) }, "")
	if code != cli.ExitOK {
		s.t.Fatalf("export: %d %s", code, errs)
	}
	return out
}

const good = `
servers:
  - name: gpu-1
    base_url: http://127.0.0.1:9001/v1
    api_key_env: UPSTREAM_KEY
models:
  - name: 百川/大模型
    targets: [{server: gpu-1, upstream_model: m-1}]
    prices: {input_per_million: 0.000000001, cached_input_per_million: 999999.123456789, output_per_million: 10}
apps:
  - name: team-a
    limits: {tokens_per_minute: 1000000000000}
    keys: [{name: default}]
`

func TestApply_ShowsChangesAndNewKeysThenExportIsANoOp(t *testing.T) {
	s := newShell(t)
	out, errs, code := s.apply(s.file("vega.yaml", good), cli.ApplyOptions{})
	if code != cli.ExitOK || errs != "" {
		t.Fatalf("%d %s", code, errs)
	}
	for _, want := range []string{"server gpu-1 created", "model 百川/大模型 created", "key team-a/default created", "revision 1\n", "APP     KEY      SECRET\nteam-a  default  vg-"} {
		if !strings.Contains(out, want) {
			t.Errorf("stdout lacks %q:\n%s", want, out)
		}
	}
	text := s.export()
	if strings.Contains(text, "sk-from-env") || strings.Contains(text, "vg-") || !strings.Contains(text, "1000000000000") {
		t.Fatalf("export:\n%s", text)
	}
	again := s.file("export.yaml", text)
	for _, o := range []cli.ApplyOptions{{}, {Prune: true}, {Prune: true, DryRun: true}} {
		if out, errs, code := s.apply(again, o); code != cli.ExitOK || out != "no changes; revision 1 stays\n" {
			t.Errorf("%+v: %d %s%s", o, code, out, errs)
		}
	}
}

func TestExport_AwkwardNamesSurviveTheRoundTrip(t *testing.T) {
	s := newShell(t)
	var doc strings.Builder
	doc.WriteString(`{"servers":[{"name":"1e3","base_url":"http://x/v1","headers":{"on":"off","Y":"0123","true":"null","X-Note":"a: b # c"}}],"models":[`)
	for i, name := range []string{"yes", "no", "~", "null", "1:30", "2030-01-01", "0x10", "1_000", "- a", "a: b", "# c", "'q'", `\"q\"`, `b\\s`, "*", "&a", "!t", "%", "@", "模型/🙂", "a  b"} {
		if i > 0 {
			doc.WriteString(",")
		}
		fmt.Fprintf(&doc, `{"name":"%s","targets":[{"server":"1e3","upstream_model":"on"}]}`, name)
	}
	doc.WriteString(`],"apps":[{"name":"no","keys":[{"name":"off","expires_at":"2030-01-31T00:00:00Z"}]}]}`)
	if _, errs, code := s.apply(s.file("in.json", doc.String()), cli.ApplyOptions{}); code != cli.ExitOK {
		t.Fatalf("%d %s", code, errs)
	}
	text := s.export()
	if !strings.HasPrefix(text, "servers:\n  - name: \"1e3\"\n    provider: \"openai\"\n") {
		t.Errorf("not in the order of the file format:\n%s", text)
	}
	if out, errs, code := s.apply(s.file("out.yaml", text), cli.ApplyOptions{Prune: true}); code != cli.ExitOK || out != "no changes; revision 1 stays\n" {
		t.Fatalf("%d %s%s\n%s", code, out, errs, text)
	}
}

func TestApply_DryRunSaysThatNothingWasWritten(t *testing.T) {
	s := newShell(t)
	out, _, code := s.apply(s.file("vega.yaml", good), cli.ApplyOptions{DryRun: true, Wait: true})
	if code != cli.ExitOK || !strings.Contains(out, "dry run: nothing was written; revision 0 stays") || strings.Contains(out, "vg-") {
		t.Fatalf("%d %s", code, out)
	}
	if text := s.export(); !strings.Contains(text, "servers: []") {
		t.Fatalf("export:\n%s", text)
	}
}

func TestApply_ListsEveryErrorByPathAndExitsWith2(t *testing.T) {
	s := newShell(t)
	for name, c := range map[string]struct {
		text string
		says []string
	}{
		"unknown field":   {"servers: [{name: a, base_url: http://x/v1, max_concurency: 1}]", []string{"PATH", "servers[0].max_concurency", "unknown field"}},
		"dangling":        {"models: [{name: m, targets: [{server: ghost, upstream_model: x}]}]", []string{"models[0].targets[0].server", "ghost"}},
		"duplicate key":   {"servers: []\nservers: []", []string{"malformed YAML"}},
		"not YAML":        {"servers: [", []string{"malformed YAML", "line"}},
		"no variable":     {"servers: [{name: a, base_url: http://x/v1, api_key_env: NOT_SET}]", []string{"servers[0].api_key_env", "NOT_SET is not set"}},
		"no CA file":      {"servers: [{name: a, base_url: http://x/v1, ca_file: none.pem}]", []string{"servers[0].ca_file", "cannot be read"}},
		"several at once": {"servers: [{name: BAD!, base_url: ftp://x, burst_percent: 1000}]", []string{"servers[0].name", "servers[0].base_url", "servers[0].burst_percent"}},
	} {
		out, errs, code := s.apply(s.file("bad.yaml", c.text), cli.ApplyOptions{})
		if code != cli.ExitInvalid || out != "" {
			t.Errorf("%s: exit %d, stdout %q, stderr %s", name, code, out, errs)
		}
		for _, want := range c.says {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: stderr lacks %q:\n%s", name, want, errs)
			}
		}
	}
	if _, errs, code := s.apply(filepath.Join(s.dir, "none.yaml"), cli.ApplyOptions{}); code != cli.ExitInvalid || !strings.Contains(errs, "none.yaml") {
		t.Errorf("missing file: %d %s", code, errs)
	}
}

func TestApply_ReadsStdinAndFilesBesideTheDocument(t *testing.T) {
	s := newShell(t)
	_, errs, code := s.run(func(st cli.Streams) error { return cli.Apply(t.Context(), s.env, st, "-", cli.ApplyOptions{}) }, good)
	if code != cli.ExitOK {
		t.Fatalf("%d %s", code, errs)
	}
	s.file("ca.pem", "not a certificate")
	_, errs, code = s.apply(s.file("ca.yaml", "servers: [{name: a, base_url: https://x/v1, ca_file: ca.pem}]"), cli.ApplyOptions{})
	if code != cli.ExitInvalid || !strings.Contains(errs, "servers[0].ca_pem") {
		t.Fatalf("the file beside the document was not read: %d %s", code, errs)
	}
}

func TestApply_WaitExitsWith3UnlessEveryNodeApplied(t *testing.T) {
	s := newShell(t)
	file := s.file("vega.yaml", good)
	s.fleet.outcome = push.Outcome{Applied: []string{"n1"}}
	out, _, code := s.apply(file, cli.ApplyOptions{Wait: true})
	if code != cli.ExitOK || !strings.Contains(out, "applied by 1 nodes, rejected by 0, no answer yet from 0") {
		t.Fatalf("%d %s", code, out)
	}
	s.fleet.outcome = push.Outcome{Rejected: []push.Rejection{{Node: "n1", Error: "out of memory"}}, Pending: []string{"n2"}}
	out, errs, code := s.apply(file, cli.ApplyOptions{Wait: true})
	if code != cli.ExitIncomplete || !strings.Contains(out, "n1    rejected: out of memory\nn2    no answer yet\n") || !strings.Contains(errs, "not every node") {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	s.fleet.err = errors.New("shutting down")
	out, _, code = s.apply(file, cli.ApplyOptions{Wait: true})
	if code != cli.ExitIncomplete || !strings.Contains(out, "could not tell") {
		t.Fatalf("unknown is not a success: %d %s", code, out)
	}
}

func TestClient_ExplainsWhatItCannotReachOrUnderstand(t *testing.T) {
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
	defer html.Close()
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, html.URL, http.StatusFound) }))
	defer moved.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	s := newShell(t)
	file := s.file("vega.yaml", good)
	live := s.env
	for name, c := range map[string]struct {
		env  []string
		says string
	}{
		"down":        {[]string{"VEGA_ADMIN_URL=" + gone.URL, "VEGA_ADMIN_TOKEN=" + token}, "(VEGA_ADMIN_URL)"},
		"not vega":    {[]string{"VEGA_ADMIN_URL=" + html.URL, "VEGA_ADMIN_TOKEN=" + token}, "read the answer of"},
		"redirects":   {[]string{"VEGA_ADMIN_URL=" + moved.URL, "VEGA_ADMIN_TOKEN=" + token}, "HTTP 302"},
		"wrong token": {[]string{live[0], "VEGA_ADMIN_TOKEN=wrong-token-0123456789-0123456789"}, "check VEGA_ADMIN_TOKEN"},
		"no token":    {[]string{live[0], "VEGA_DATA_DIR=" + filepath.Join(s.dir, "none")}, "VEGA_ADMIN_TOKEN: not set"},
		"bad URL":     {[]string{"VEGA_ADMIN_URL=localhost:9080", "VEGA_ADMIN_TOKEN=" + token}, "VEGA_ADMIN_URL: must be"},
	} {
		s.env = append([]string{"UPSTREAM_KEY=x"}, c.env...)
		_, errs, code := s.apply(file, cli.ApplyOptions{})
		if code != cli.ExitFailed || !strings.Contains(errs, c.says) || strings.Contains(errs, token) {
			t.Errorf("%s: %d %s", name, code, errs)
		}
	}
}

func TestResetPassword_PrintsTheOneTimePasswordAloneAndItIsTheOneThatWorks(t *testing.T) {
	s := newShell(t)
	if _, err := s.people.EnsureFirst(t.Context(), catalog.NewSecret("the-first-password")); err != nil {
		t.Fatal(err)
	}
	reset := func(name string) (stdout, stderr string, code int) {
		return s.run(func(st cli.Streams) error { return cli.ResetPassword(t.Context(), s.env, st, name) }, "")
	}
	out, errs, code := reset("admin")
	password := strings.TrimSuffix(out, "\n")
	if code != cli.ExitOK || len(password) < 20 || strings.ContainsAny(password, " \n") || !strings.Contains(errs, "only this once") {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	login := func(password string) error {
		_, err := s.people.Login(t.Context(), "admin", catalog.NewSecret(password), identity.Client{})
		return err
	}
	if err := login("the-first-password"); err == nil {
		t.Error("the old password still works")
	}
	if err := login(password); err != nil {
		t.Errorf("the new password does not work: %v", err)
	}
	if out, errs, code := reset("nobody/here"); code != cli.ExitFailed || out != "" || !strings.Contains(errs, "does not exist") {
		t.Errorf("%d %q %q", code, out, errs)
	}
}

func TestFromEnv_TakesTheTokenFromTheVariableItsFileOrTheDataDirectory(t *testing.T) {
	dir := t.TempDir()
	stored, named := filepath.Join(dir, "admin-token"), filepath.Join(dir, "named")
	for path, text := range map[string]string{stored: "stored-token\n", named: "named-token\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for want, env := range map[string][]string{
		"stored-token": {"VEGA_DATA_DIR=" + dir},
		"named-token":  {"VEGA_DATA_DIR=" + dir, "VEGA_ADMIN_TOKEN_FILE=" + named},
		"plain-token":  {"VEGA_DATA_DIR=" + dir, "VEGA_ADMIN_TOKEN=plain-token"},
	} {
		cfg, err := cli.FromEnv(env)
		if err != nil || cfg.Token != want || cfg.AdminURL != "http://127.0.0.1:9080" {
			t.Errorf("%v: %+v %v", env, cfg, err)
		}
	}
}
