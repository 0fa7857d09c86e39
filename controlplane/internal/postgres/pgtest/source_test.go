package pgtest

import (
	"bufio"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/embedded"
)

func TestOpenLocal_SaysThatBinariesAreMissing(t *testing.T) {
	if _, err := openLocal(t.Context(), t.TempDir(), t.TempDir()); !errors.Is(err, embedded.ErrNoBinaries) {
		t.Errorf("openLocal: %v", err)
	}
}

func TestServer_DoesNotOutliveAKilledTestProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // Pdeathsig 只有 Linux 有；别处由清扫善后。
	}
	dir, socket := killedProcess(t)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			break
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the server outlived its test process")
		}
	}

	sweepDirs(t.Context(), filepath.Dir(dir), time.Now())
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("a directory that may be starting was swept: %v", err)
	}
	sweepDirs(t.Context(), filepath.Dir(dir), time.Now().Add(2*settle))
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s stays behind: %v", dir, err)
	}
}

// killedProcess 启动另一个测试进程，等它有了服务器再杀掉，给出它的数据目录与套接字。
func killedProcess(t *testing.T) (dir, socket string) {
	t.Helper()
	// 路径要短，套接字才会在数据目录里。
	base, err := os.MkdirTemp("/tmp", "vp-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(base) })
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+base)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, errors.Join(err, cmd.Process.Kill()))
	_ = cmd.Wait()
	u, err := url.Parse(strings.TrimSpace(line))
	must(t, err)
	run := u.Query().Get("host")
	if run == "" {
		t.Fatalf("child: %s", line)
	}
	return filepath.Dir(run), filepath.Join(run, ".s.PGSQL."+u.Query().Get("port"))
}

func TestSweepDirs_LeavesARunningServerAlone(t *testing.T) {
	dir, err := os.MkdirTemp(t.TempDir(), dirPrefix)
	must(t, err)
	pg, err := embedded.Start(t.Context(), embedded.Config{DataDir: dir})
	must(t, err)
	defer pg.Stop(t.Context())
	sweepDirs(t.Context(), filepath.Dir(dir), time.Now().Add(2*settle))
	must(t, connectTo(t, pg.URL()).Ping(t.Context()))
}
