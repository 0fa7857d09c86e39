package embedded

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

const childEnv = "VEGA_EMBEDDED_TEST_CHILD"

// TestMain 让测试程序也能充当"控制面"子进程：被杀、被降权的是它，而不是测试自己。
func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		os.Exit(childMain(spec))
	}
	goleak.VerifyTestMain(m)
}

// childMain 按 "serve <dir>" 或 "dial <socket>" 行事，结果写在 stdout 的一行里。
func childMain(spec string) int {
	verb, arg, _ := strings.Cut(spec, " ")
	switch verb {
	case "serve":
		s, err := Start(context.Background(), Config{DataDir: arg, Durable: true})
		if err != nil {
			fmt.Println("error", err)
			return 1
		}
		fmt.Println("ready", s.URL())
		_, _ = io.Copy(io.Discard, os.Stdin)
		if err := s.Stop(context.Background()); err != nil {
			fmt.Println("error", err)
			return 1
		}
	case "dial":
		conn, err := net.Dial("unix", arg)
		if err != nil {
			fmt.Println("error", err)
			return 1
		}
		conn.Close()
		fmt.Println("connected")
	}
	return 0
}

// helper 是一个跑着的子进程。
type helper struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Reader
}

// startChild 以 cred（nil 为当前用户）重跑测试程序。
func startChild(t *testing.T, cred *syscall.Credential, spec string) *helper {
	t.Helper()
	cmd := exec.Command(copyOfSelf(t))
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), childEnv+"="+spec)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &helper{cmd: cmd, stdin: stdin, lines: bufio.NewReader(stdout)}
}

// answer 读一行，返回首词与其余。
func (h *helper) answer(t *testing.T) (verb, rest string) {
	t.Helper()
	line, err := h.lines.ReadString('\n')
	must(t, err)
	verb, rest, _ = strings.Cut(strings.TrimSpace(line), " ")
	return verb, rest
}

func (h *helper) kill(t *testing.T) {
	t.Helper()
	must(t, h.cmd.Process.Kill())
	_ = h.cmd.Wait()
}

// copyOfSelf 把测试程序放到别的账号也能执行的地方：go test 的目录只有自己能进。
func copyOfSelf(t *testing.T) string {
	t.Helper()
	dir := openTempDir(t)
	path := filepath.Join(dir, "embedded.test")
	self, err := os.Executable()
	must(t, err)
	src, err := os.Open(self)
	must(t, err)
	defer src.Close()
	dst, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	must(t, err)
	_, err = io.Copy(dst, src)
	must(t, err)
	must(t, dst.Close())
	return path
}

// openTempDir 是任何账号都走得到的临时目录。
func openTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "vega-embedded-test-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start 启动一个服务器，测试结束时停掉。
func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Start(ctx, cfg)
	must(t, err)
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	must(t, s.Stop(ctx))
}

func query[T any](t *testing.T, url, sql string) T {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	must(t, err)
	defer conn.Close(ctx)
	var v T
	must(t, conn.QueryRow(ctx, sql).Scan(&v))
	return v
}

func execSQL(t *testing.T, url string, statements ...string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	must(t, err)
	defer conn.Close(ctx)
	for _, sql := range statements {
		_, err := conn.Exec(ctx, sql)
		must(t, err)
	}
}

// eventually 等一个由别的进程造成的状态。
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}
