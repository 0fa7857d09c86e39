package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// tally 数用例；子用例也算。
type tally struct {
	passed, failed, skipped int
	seen                    map[string]bool
	slow                    []timed
	coverage                string
}

// timed 是一个用例用了多久。
type timed struct {
	name    string
	seconds float64
}

// slowest 是这一组里最慢的几个用例：CI 慢下来时先看它们。整组只有一个用例的，看它的子用例。
func (t *tally) slowest() string {
	depth := func(x timed) int { return strings.Count(x.name, "/") }
	whole := slices.DeleteFunc(slices.Clone(t.slow), func(x timed) bool { return depth(x) > 0 })
	if len(whole) == 1 {
		whole = slices.DeleteFunc(slices.Clone(t.slow), func(x timed) bool { return depth(x) != 1 })
	}
	slices.SortFunc(whole, func(a, b timed) int { return cmp.Compare(b.seconds, a.seconds) })
	var out []string
	for _, x := range whole[:min(len(whole), 5)] {
		out = append(out, fmt.Sprintf("%s %.0fs", x.name, x.seconds))
	}
	return strings.Join(out, ", ")
}

func (t *tally) add(o tally) {
	t.passed += o.passed
	t.failed += o.failed
	t.skipped += o.skipped
}

// event 是 go test -json 的一行。
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

// run 跑一组；失败的用例把它的输出原样打出来，"figures:" 开头的行总是打出来。
func run(g group, marker string, stop <-chan os.Signal) (tally, error) {
	// -trimpath：编译结果不记目录，新检出的仓库用得上别处编译过的缓存（-race 的标准库最慢）。
	args := append([]string{"test", "-json", "-trimpath"}, g.args...)
	profile := ""
	if g.cover {
		if err := os.MkdirAll(".cache", 0o755); err != nil {
			return tally{}, fmt.Errorf("make .cache: %w", err)
		}
		abs, err := filepath.Abs(filepath.Join(".cache", "cover-"+g.dir+".out"))
		if err != nil {
			return tally{}, fmt.Errorf("find .cache: %w", err)
		}
		profile = abs
		args = append(args[:3:3], append([]string{"-covermode=atomic", "-coverprofile=" + profile}, args[3:]...)...)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = g.dir
	cmd.Env = append(append(os.Environ(), marker), g.env...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return tally{}, fmt.Errorf("pipe go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return tally{}, fmt.Errorf("start go test: %w", err)
	}
	done := make(chan struct{})
	go func() {
		select {
		case <-stop:
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		case <-done:
		}
	}()
	t := read(out)
	err = cmd.Wait()
	close(done)
	if profile != "" {
		t.coverage = coverage(g.dir, profile)
	}
	return t, verdict(g, t, err)
}

func verdict(g group, t tally, err error) error {
	switch {
	case t.failed > 0:
		return errors.New("tests failed")
	case err != nil:
		return fmt.Errorf("go test: %w", err)
	case t.skipped > 0:
		return errors.New("skipped tests count as failures: install what they need")
	case t.passed == 0:
		return errors.New("no test ran")
	}
	for _, name := range g.must {
		if !t.seen[name] {
			return fmt.Errorf("%s did not run", name)
		}
	}
	return nil
}

func read(r io.Reader) tally {
	t := tally{seen: map[string]bool{}}
	output := map[string][]string{} // 包/用例 → 输出，失败时才打
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<20), 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Println(lines.Text())
			continue
		}
		key := e.Package + "/" + e.Test
		switch e.Action {
		case "output", "build-output":
			if i := strings.Index(e.Output, "figures:"); i >= 0 {
				fmt.Print("   ", e.Output[i:])
			}
			output[key] = append(output[key], e.Output)
			continue
		case "pass", "fail", "skip":
		default:
			continue
		}
		if e.Action == "fail" {
			fmt.Printf("--- FAIL %s %s\n%s", e.Package, e.Test, strings.Join(output[key], ""))
		}
		if e.Action == "skip" && e.Test != "" {
			fmt.Printf("--- SKIP %s %s\n%s", e.Package, e.Test, strings.Join(output[key], ""))
		}
		delete(output, key)
		if e.Test == "" {
			if e.Action == "fail" {
				t.failed++ // 编译不过、TestMain 失败、泄漏的 goroutine
			}
			continue
		}
		t.seen[e.Test] = true
		t.slow = append(t.slow, timed{e.Test, e.Elapsed})
		switch e.Action {
		case "pass":
			t.passed++
		case "fail":
			t.failed++
		case "skip":
			t.skipped++
		}
	}
	if len(output) > 0 && lines.Err() != nil {
		fmt.Println("suite: read go test output:", lines.Err())
	}
	for key, out := range output {
		if text := strings.Join(out, ""); strings.Contains(text, "[build failed]") || strings.HasPrefix(text, "#") {
			fmt.Printf("--- %s\n%s", key, text)
		}
	}
	return t
}

// coverage 给出这个模块语句覆盖率的一小段文字；生成的代码不算。
func coverage(dir, profile string) string {
	if err := dropGenerated(profile); err != nil {
		return "  coverage unknown: " + err.Error()
	}
	cmd := exec.Command("go", "tool", "cover", "-func="+profile)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "  coverage unknown: " + err.Error()
	}
	rows := strings.Split(strings.TrimSpace(string(out)), "\n")
	fields := strings.Fields(rows[len(rows)-1])
	return "  coverage " + fields[len(fields)-1]
}

// dropGenerated 从覆盖率文件里去掉生成的代码。
func dropGenerated(profile string) error {
	raw, err := os.ReadFile(profile)
	if err != nil {
		return err
	}
	var kept strings.Builder
	for line := range strings.Lines(string(raw)) {
		if !strings.Contains(line, "/gen/go/") && !strings.Contains(line, "/sqlcgen/") && !strings.Contains(line, "/openapi/gen.go") {
			kept.WriteString(line)
		}
	}
	return os.WriteFile(profile, []byte(kept.String()), 0o600)
}
