package e2e

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSettings_AWrongValueEndsTheProcessAtOnce 看两个服务对每个写错的变量：很快以非零退出，一行点名，值里的秘密不露。
func TestSettings_AWrongValueEndsTheProcessAtOnce(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	none := filepath.Join(t.TempDir(), "none")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	both := [][]string{
		{"VEGA_HTTP_ADDR=8080"}, {"VEGA_HTTP_ADDR=127.0.0.1:http-ish"}, {"VEGA_HTTP_ADDR=" + taken.Addr().String()}, {"VEGA_OPS_ADDR=nowhere"}, {"VEGA_OPS_ADDR=" + taken.Addr().String()},
		{"VEGA_LOG_LEVEL=loud"}, {"VEGA_PPROF=perhaps"}, {"VEGA_GRPC_INSECURE=perhaps"},
		{"VEGA_HTTP_TLS_CERT=" + none}, {"VEGA_HTTP_TLS_CERT=" + none, "VEGA_HTTP_TLS_KEY=" + none}, {"VEGA_HTTP_TLS_CERT=" + empty, "VEGA_HTTP_TLS_KEY=" + empty},
		{"VEGA_GRPC_TLS_CERT=" + none}, {"VEGA_GRPC_TLS_CERT=" + none, "VEGA_GRPC_TLS_KEY=" + none},
		{"VEGA_LOG_LEVEL_FILE=" + none}, {"VEGA_NODE_ID=a", "VEGA_NODE_ID_FILE=" + none},
	}
	cases := map[string][][]string{
		"controlplane": append([][]string{
			{"VEGA_GRPC_ADDR=9090"}, {"VEGA_GRPC_ADDR=0.0.0.0:0"}, {"VEGA_GRPC_ADDR=" + taken.Addr().String()}, {"VEGA_DATABASE_URL=mysql://user:hunter2@x/y"},
			{"VEGA_ADMIN_TOKEN=short-hunter2"}, {"VEGA_JOIN_TOKEN=hunter2"}, {"VEGA_MASTER_KEY=hunter2"}, {"VEGA_PUBLIC_API_URL=not a url"}, {"VEGA_PUBLIC_API_URL=/relative"},
			{"VEGA_PUBLIC_API_URL=ftp://files.example.com"},
			{"VEGA_MASTER_KEY=", "VEGA_JOIN_TOKEN=" + strings.Repeat("j", 40), "VEGA_DATABASE_URL=postgres://127.0.0.1:1/x"}, {"VEGA_ADVERTISE_ADDR=nonsense"},
			{"VEGA_DATA_DIR=" + filepath.Join(empty, "below-a-file")},
		}, both...),
		"dataplane": append([][]string{
			{"VEGA_CONTROLPLANE_ADDR=controlplane"}, {"VEGA_CONTROLPLANE_ADDR=127.0.0.1:9090,:9090"}, {"VEGA_JOIN_TOKEN="}, {"VEGA_NODE_ID=Not A Name"},
			{"VEGA_MAX_BODY_BYTES=0"}, {"VEGA_MAX_BODY_BYTES=32MiB"}, {"VEGA_DRAIN_TIMEOUT=soon"}, {"VEGA_DRAIN_TIMEOUT=-5s"}, {"VEGA_DRAIN_DELAY=soon"},
			{"VEGA_CORS_ORIGINS=app.example.com"}, {"VEGA_GRPC_TLS_CA=" + none}, {"VEGA_GRPC_TLS_CA=" + empty},
		}, both...),
	}
	for binary, list := range cases {
		for _, env := range list {
			t.Run(binary+" "+strings.ReplaceAll(env[0], "/", "|"), func(t *testing.T) { refusesToStart(t, binary, env) })
		}
	}
}

func refusesToStart(t *testing.T, binary string, env []string) {
	t.Helper()
	// 默认都合法、彼此不相干的地址；要错的那一个在最后。
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, binary), "serve")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "VEGA_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "VEGA_HTTP_ADDR=127.0.0.1:0", "VEGA_OPS_ADDR=127.0.0.1:0"}, env...)
	if binary == "controlplane" {
		cmd.Env = append([]string{"VEGA_GRPC_ADDR=127.0.0.1:0"}, cmd.Env...)
	} else {
		cmd.Env = append([]string{"VEGA_JOIN_TOKEN=" + strings.Repeat("j", 40), "VEGA_CONTROLPLANE_ADDR=127.0.0.1:1"}, cmd.Env...)
	}
	// 没有结束的要好好停：控制面自带的数据库跟着它走。
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(syscall.SIGTERM) }, 15*time.Second
	began := time.Now()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if ctx.Err() != nil || !errors.As(err, &exit) || exit.ExitCode() <= 0 {
		t.Fatalf("%v: ended with %v after %s\n%s", env, err, time.Since(began).Round(time.Millisecond), out)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%v: took %s", env, took)
	}
	name, _, _ := strings.Cut(env[0], "=")
	var plain []string
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if !strings.HasPrefix(line, "{") {
			plain = append(plain, line)
		}
	}
	if len(plain) != 1 || !strings.Contains(plain[0], name) {
		t.Errorf("%v: not one line that names the variable:\n%s", env, out)
	}
	if strings.Contains(string(out), "hunter2") {
		t.Errorf("%v: a secret value is shown:\n%s", env, out)
	}
}
