package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain 让测试程序也能当作 dataplane 来跑：信号要真的进程才试得出。
func TestMain(m *testing.M) {
	if os.Getenv("VEGA_TEST_RUN_MAIN") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

func start(t *testing.T, args []string, environ ...string) (cmd *exec.Cmd, log *bufio.Scanner) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = slices.Concat(environ, []string{"VEGA_TEST_RUN_MAIN=1", "GOCOVERDIR=" + t.TempDir()})
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

func waitFor(t *testing.T, log *bufio.Scanner, text string) {
	t.Helper()
	for log.Scan() {
		if strings.Contains(log.Text(), text) {
			return
		}
	}
	t.Fatalf("the log ended without %q", text)
}

func TestServe_RepeatedTermIsHarmlessAndASecondInterruptEndsAtOnce(t *testing.T) {
	cmd, log := start(t, []string{"serve"}, "VEGA_JOIN_TOKEN=0123456789abcdef", "VEGA_HTTP_ADDR=127.0.0.1:0", "VEGA_OPS_ADDR=127.0.0.1:0",
		"VEGA_CONTROLPLANE_ADDR=127.0.0.1:1", "VEGA_DATA_DIR="+t.TempDir(), "VEGA_DRAIN_DELAY=120s")
	waitFor(t, log, `"starting"`)
	send := func(s os.Signal) {
		if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
	}
	send(syscall.SIGTERM)
	waitFor(t, log, `"draining"`)
	ended := make(chan error, 1)
	go func() {
		for log.Scan() { // 读尽，Wait 才可以调用
		}
		ended <- cmd.Wait()
	}()
	send(syscall.SIGTERM)
	select {
	case err := <-ended:
		t.Fatalf("a repeated SIGTERM cut the drain short: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	send(syscall.SIGINT)
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		send(syscall.SIGKILL)
		t.Fatal("an interrupt during the drain does not end the process")
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGINT {
		t.Errorf("ended by %v", cmd.ProcessState)
	}
}

func TestServe_WrongSettingIsOneLineThatNamesIt(t *testing.T) {
	cmd, log := start(t, []string{"serve"}, "VEGA_JOIN_TOKEN=0123456789abcdef", "VEGA_DRAIN_TIMEOUT=soon")
	var lines []string
	for log.Scan() {
		lines = append(lines, log.Text())
	}
	if err := cmd.Wait(); err == nil || len(lines) != 1 || !strings.HasPrefix(lines[0], "dataplane: VEGA_DRAIN_TIMEOUT: ") {
		t.Errorf("%v: %q", err, lines)
	}
}
