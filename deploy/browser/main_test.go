// Package browser 只有测试：控制台的组件测试、首屏的重量，与真的浏览器对着真的一整套 Vega。
//
// TestUnits 跑 vitest，TestConsole 起一整套再跑 Playwright；两者的每个用例都成为 Go 的子用例，
// 因此数得出跑了几个、跳过了几个，失败的文字与 trace 的路径也在子用例里。
// 只跑一个文件：VEGA_BROWSER_ARGS="e2e/login.spec.ts" go test ./browser -run TestConsole -count=1 -v。
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// root 是仓库的根。
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// prepare 装好控制台的依赖；what 是 "build" 时再把成品构建到最新，并放进控制面的源码里。
func prepare(t *testing.T, what string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(root(t), "deploy", "dev", "console.sh"), what)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("console.sh %s: %v\n%s", what, err, out)
	}
}

// node 在 console/ 里跑一个装在那里的程序，输出接到我们的标准输出；非零的退出码交给读报告的人判断。
func node(t *testing.T, program string, args, env []string) error {
	t.Helper()
	ctx := t.Context()
	if deadline, ok := t.Deadline(); ok { // 留出收场的时间
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-30*time.Second))
		defer cancel()
	}
	dir := filepath.Join(root(t), "console")
	path := filepath.Join(root(t), ".tools", "node", "node_modules", ".bin") + string(filepath.ListSeparator) + os.Getenv("PATH")
	// 程序要在我们的 PATH 里找，而不是在父进程的里面；exec 查的是后者。
	cmd := exec.CommandContext(ctx, "/usr/bin/env", append([]string{"PATH=" + path, "node", filepath.Join(dir, "node_modules", program)}, args...)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = childAttr()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) } // 连同它的孩子
	cmd.WaitDelay = 10 * time.Second
	done := make(chan error)
	go func() { // Pdeathsig 系于起它的线程
		lockThread()
		done <- cmd.Run()
	}()
	if err := <-done; err != nil {
		return fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
	}
	return nil
}
