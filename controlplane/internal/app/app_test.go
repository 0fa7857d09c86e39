package app_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/vega-gateway/vega/controlplane/internal/app"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

const adminToken = "admin-token-0123456789-0123456789"

// onFreePorts 是内嵌数据库、端口任选的设置。
func onFreePorts(dir string) app.Config {
	return app.Config{DataDir: dir, HTTPAddr: "127.0.0.1:0", GRPCAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0",
		AdminToken: adminToken, LogLevel: zapcore.FatalLevel}
}

// process 是跑着的控制面。
type process struct {
	*app.App
	t    *testing.T
	end  context.CancelFunc
	done chan struct{} // Run 返回后关闭
}

// launch 起一个控制面并等到它就绪；测试结束时它已经停了。
func launch(t *testing.T, cfg app.Config) *process {
	t.Helper()
	a, err := app.Start(t.Context(), cfg, "test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{App: a, t: t, end: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		if err := a.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(p.stop)
	deadline := time.Now().Add(20 * time.Second)
	for p.status("http://"+p.OpsAddr().String()+"/readyz") != http.StatusOK {
		if time.Now().After(deadline) {
			t.Fatal("never ready")
		}
		time.Sleep(10 * time.Millisecond)
	}
	return p
}

// stop 停下并等它走完；可以多次调用。
func (p *process) stop() {
	p.end()
	<-p.done
}

func (p *process) status(url string) int {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// admin 以令牌问管理 API。
func (p *process) admin(method, path, body string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequest(method, "http://"+p.HTTPAddr().String()+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Authorization", "Bearer "+adminToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

const oneServer = `{"servers":[{"name":"gpu-1","base_url":"http://127.0.0.1:9/v1","api_key":"sk-kept"}]}`

func TestApp_AnswersAndKeepsDataOverARestart(t *testing.T) {
	dir := t.TempDir()
	first := launch(t, onFreePorts(dir))
	if code, body := first.admin(http.MethodPut, "/config", oneServer); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	if code := first.status("http://" + first.HTTPAddr().String() + "/api/v1/config"); code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", code)
	}
	if code := first.status("http://" + first.HTTPAddr().String() + "/"); code != http.StatusOK {
		t.Errorf("the console: %d", code)
	}
	first.stop()

	second := launch(t, onFreePorts(dir))
	code, body := second.admin(http.MethodGet, "/servers/gpu-1", "")
	if code != http.StatusOK || !strings.Contains(body, `"has_api_key":true`) {
		t.Errorf("after a restart: %d %s", code, body)
	}
}

func TestStart_DoesNotWaitForABackupThatReadsTheUsageTables(t *testing.T) {
	cfg := onFreePorts(t.TempDir())
	cfg.DatabaseURL = pgtest.New(t, nil)
	launch(t, cfg).stop()
	db, err := sql.Open("pgx", cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	backup, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tomorrow := usage.LevelRequest.PartitionOf(time.Now().AddDate(0, 0, 1))
	for _, statement := range []string{"DROP TABLE " + tomorrow.Name, "BEGIN", "LOCK TABLE usage_request_default IN ACCESS SHARE MODE"} {
		if _, err := backup.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	launch(t, cfg)
}

func TestStart_RefusesADataDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	launch(t, onFreePorts(dir))
	_, err := app.Start(t.Context(), onFreePorts(dir), "test")
	if err == nil || !strings.Contains(err.Error(), "in use by another process") || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
}

func TestStart_SaysThatTheMasterKeyIsAnother(t *testing.T) {
	dir := t.TempDir()
	launch(t, onFreePorts(dir)).stop()
	cfg := onFreePorts(dir)
	cfg.MasterKey = strings.Repeat("ab", 32)
	_, err := app.Start(t.Context(), cfg, "test")
	if err == nil || !strings.Contains(err.Error(), "VEGA_MASTER_KEY") {
		t.Fatalf("got %v", err)
	}
	// 失败的那次什么也没有留下：目录没有锁着，原来的钥匙仍能开。
	launch(t, onFreePorts(dir))
}

func TestStart_NamesTheAddressThatIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, set := range map[string]func(*app.Config, string){
		"VEGA_HTTP_ADDR": func(c *app.Config, a string) { c.HTTPAddr = a },
		"VEGA_GRPC_ADDR": func(c *app.Config, a string) { c.GRPCAddr = a },
		"VEGA_OPS_ADDR":  func(c *app.Config, a string) { c.OpsAddr = a },
	} {
		cfg := onFreePorts(t.TempDir())
		set(&cfg, taken.Addr().String())
		if _, err := app.Start(t.Context(), cfg, "test"); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestStart_NamesTheDataDirectoryThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := app.Start(t.Context(), onFreePorts(filepath.Join(file, "below")), "test"); err == nil || !strings.HasPrefix(err.Error(), "VEGA_DATA_DIR: ") {
		t.Errorf("got %v", err)
	}
}

func TestStart_NamesTheCertificateThatCannotBeRead(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.pem")
	cfg := onFreePorts(t.TempDir())
	cfg.HTTPTLSCert, cfg.HTTPTLSKey = missing, missing
	if _, err := app.Start(t.Context(), cfg, "test"); err == nil || !strings.HasPrefix(err.Error(), "VEGA_HTTP_TLS_CERT: ") {
		t.Errorf("got %v", err)
	}
}

func TestRun_EndsSoonWithSilentConnectionsOpen(t *testing.T) {
	p := launch(t, onFreePorts(t.TempDir()))
	for _, addr := range []net.Addr{p.HTTPAddr(), p.OpsAddr()} {
		conn, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if code, _ := p.admin(http.MethodGet, "/config", ""); code != http.StatusOK {
		t.Fatal(code)
	}
	began := time.Now()
	p.stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %s to end", took)
	} else {
		t.Logf("ended in %s", took)
	}
}

func TestRun_EndsSoonWithANodeConnectedAndAWriteWaitingForIt(t *testing.T) {
	cfg := onFreePorts(t.TempDir())
	cfg.JoinToken = "join-token-0123456789"
	p := launch(t, cfg)
	conn, err := grpc.NewClient(p.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+cfg.JoinToken)
	watch, err := configv1.NewConfigServiceClient(conn).Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Send(&configv1.WatchRequest{Message: &configv1.WatchRequest_Hello{Hello: &configv1.Hello{NodeId: "n1", Epoch: 1}}}); err != nil {
		t.Fatal(err)
	}
	if m, err := watch.Recv(); err != nil || m.GetUpdate() == nil {
		t.Fatalf("%v, %v", m, err)
	}
	answered := make(chan string, 1)
	go func() { // 节点从不确认
		code, body := p.admin(http.MethodPut, "/config?wait=true", oneServer)
		answered <- fmt.Sprint(code, " ", body)
	}()
	for { // 新的一版到了节点，写已经在等它；预算的花费也走这条流
		m, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.GetUpdate() != nil {
			break
		}
	}
	began := time.Now()
	p.stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %s to end", took)
	} else {
		t.Logf("ended in %s", took)
	}
	// 写已经提交，照样答复；谁换上了则不知道，不假装知道。
	if got := <-answered; !strings.HasPrefix(got, `200 {"revision":1,`) || strings.Contains(got, `"applied"`) {
		t.Errorf("the waiting write got %s", got)
	}
}

func TestRun_IsBoundedWithASilentGRPCConnection(t *testing.T) {
	p := launch(t, onFreePorts(t.TempDir()))
	conn, err := net.Dial("tcp", p.GRPCAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	p.stop()
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("took %s to end", took)
	}
}

func TestApp_WaitAnswersAtOnceWithoutNodes(t *testing.T) {
	p := launch(t, onFreePorts(t.TempDir()))
	code, body := p.admin(http.MethodPut, "/config?wait=true", oneServer)
	if code != http.StatusOK || !strings.Contains(body, `"pending":[]`) {
		t.Errorf("%d %s", code, body)
	}
}

func TestServer_RefusesHugeHeaders(t *testing.T) {
	p := launch(t, onFreePorts(t.TempDir()))
	conn, err := net.Dial("tcp", p.HTTPAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		// 服务端答完就关，写到一半出错是预期的。
		_, _ = conn.Write(bytes.Join([][]byte{[]byte("GET /api/v1/config HTTP/1.1\r\nHost: x\r\nX-Big: "), bytes.Repeat([]byte("a"), 200<<10), []byte("\r\n\r\n")}, nil))
	}()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 431" {
		t.Fatalf("got %q %v", head, err)
	}
}

func TestInitSecrets_KeepsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	read := func() map[string]string {
		files := map[string]string{}
		for _, name := range []string{"master-key", "join-token", "admin-token", "postgres-password", "pgpass"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			files[name] = string(b)
		}
		return files
	}
	if err := app.InitSecrets(dir); err != nil {
		t.Fatal(err)
	}
	first := read()
	if !strings.Contains(first["pgpass"], strings.TrimSpace(first["postgres-password"])) {
		t.Error("pgpass does not hold the password")
	}
	// 写到一半被杀的 pgpass 会让数据库永远登不上。
	if err := os.WriteFile(filepath.Join(dir, "pgpass"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := app.InitSecrets(dir); err != nil {
		t.Fatal(err)
	}
	for name, text := range read() {
		if text != first[name] {
			t.Errorf("%s changed", name)
		}
	}
}
