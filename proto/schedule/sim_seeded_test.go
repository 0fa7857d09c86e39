package schedule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// seededBug 是一处起过名的错误，与它的注释里说主要由谁抓到的那个测试。
type seededBug struct{ name, test string }

// seededSuites 是名下的那个测试之外的各组：VEGA_PROOF=full 时也都走一遍，看还有谁看得见它。
var seededSuites = []struct{ name, run string }{
	{"protocol", "^TestHolder|^TestGrantor|^TestLink"},
	{"core", "^TestCore|^TestBucket|^TestFair|^TestPool|^TestEstimate|^TestDeadline"},
	{"hosts-agree", "^TestHostsAgree$"},
	{"simulation", "^TestSimulation$"},
}

// TestSeededBugs 证明这些测试真的看得见错误：每次放进一处故意的错误（见 bug），它名下的测试就必须失败，
// 而不放的时候全都通过。若没有失败，是测试瞎了，不是程序对了。
func TestSeededBugs(t *testing.T) {
	bugs := seededBugs(t)
	dir := t.TempDir()
	binary := filepath.Join(dir, "seeded.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-race=false", "-tags", "seeded", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	rest := seededSuites[:0]
	if os.Getenv("VEGA_PROOF") == "full" {
		rest = seededSuites
	}
	var clean []string // 没有错误时，每个名下的测试都通过
	for _, b := range bugs {
		clean = append(clean, "^"+b.test+"$")
	}
	for _, s := range rest {
		clean = append(clean, s.run)
	}
	if failed, out := seededRun(t.Context(), binary, "none", strings.Join(clean, "|")); failed != "" {
		t.Fatalf("%s fails without any bug:\n%s", failed, out)
	}
	caught, also := make([]string, len(bugs)), make([][]string, len(bugs))
	var wg sync.WaitGroup
	next := make(chan int)
	for range max(1, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				caught[i], _ = seededRun(t.Context(), binary, bugs[i].name, "^"+bugs[i].test+"$")
				for _, s := range rest {
					if failed, _ := seededRun(t.Context(), binary, bugs[i].name, s.run); failed != "" {
						also[i] = append(also[i], s.name)
					}
				}
			}
		})
	}
	for i := range bugs {
		next <- i
	}
	close(next)
	wg.Wait()
	n := 0
	for i, b := range bugs {
		if caught[i] != b.test {
			fmt.Printf("figures: seeded %s NOT CAUGHT\n", b.name)
			t.Errorf("%s does not see the seeded bug %q", b.test, b.name)
			continue
		}
		n++
		if len(rest) > 0 {
			fmt.Printf("figures: seeded %s seen by suites=%s\n", b.name, strings.Join(also[i], ","))
		}
		fmt.Printf("figures: seeded %s caught by %s\n", b.name, caught[i])
	}
	fmt.Printf("figures: seeded caught=%d/%d\n", n, len(bugs))
}

var seededFailure = regexp.MustCompile(`(?m)^\s*--- FAIL: (\w+)`)

// seededRun 放进 name 走 run 那些测试，答头一个失败的；没有失败则空。
func seededRun(ctx context.Context, binary, name, run string) (failed string, out []byte) {
	cmd := exec.CommandContext(ctx, binary, "-test.run", run, "-test.count=1", "-test.timeout=120s", "-test.failfast",
		"-rapid.nofailfile", "-rapid.seed=1")
	cmd.Dir = filepath.Dir(binary)
	cmd.Env = append(os.Environ(), "VEGA_SEEDED_BUG="+name, "VEGA_SIM_SEEDS=40", "VEGA_SIM_SEED=", "VEGA_PROOF=", "GOMAXPROCS=1")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "", out
	}
	out = append(out, err.Error()...)
	if m := seededFailure.FindSubmatch(out); m != nil {
		return string(m[1]), out[max(0, len(out)-4000):]
	}
	if exit := new(exec.ExitError); errors.As(err, &exit) && bytes.Contains(out, []byte("panic: ")) {
		return "panic", out
	}
	return "none of the tests, but the run", out
}

var seededTest = regexp.MustCompile(`Test\w+`)

// seededBugs 读出 bugs*.go 里起过名的每一处，与注释里说的那个测试。
func seededBugs(t *testing.T) (bugs []seededBug) {
	files, err := filepath.Glob("bugs*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if kind, ok := v.Type.(*ast.Ident); !ok || kind.Name != "bug" {
				return true
			}
			name, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			bugs = append(bugs, seededBug{name, seededTest.FindString(v.Comment.Text())})
			if bugs[len(bugs)-1].test == "" {
				t.Errorf("the comment of %q names no test", name)
			}
			return true
		})
	}
	slices.SortFunc(bugs, func(a, b seededBug) int { return strings.Compare(a.name, b.name) })
	if len(bugs) < 12 {
		t.Fatalf("%d seeded bugs found", len(bugs))
	}
	return bugs
}
