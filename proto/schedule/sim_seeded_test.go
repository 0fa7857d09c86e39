package schedule

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// seededSuites 是依次拿来抓错误的：便宜的在前，抓到即止。
var seededSuites = []struct {
	name, run string
	env       []string
}{
	{"core", "^TestCore|^TestBucket|^TestFair|^TestQueue|^TestPool|^TestEstimate|^TestDeadline|^TestRate", []string{"-rapid.checks=200"}},
	{"protocol", "^TestHolder|^TestGrantor|^TestLink", nil},
	{"TestHostsAgree", "^TestHostsAgree$", nil},
	{"TestSimulation", "^TestSimulation$", nil},
}

// TestSeededBugs 证明这些测试真的看得见错误：每次放进一处故意的错误（见 bug），就必须有一个测试失败。
// 若没有一个失败，是测试瞎了，不是程序对了。
func TestSeededBugs(t *testing.T) {
	if broken("") {
		t.Fatal("run this without the seeded build tag")
	}
	bugs := seededBugs(t)
	binary := filepath.Join(t.TempDir(), "seeded.test")
	build := exec.Command("go", "test", "-c", "-tags", "seeded", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if out, err := seededRun(binary, "", "^TestHostsAgree$|^TestSimulation$", "4", nil); err != nil {
		t.Fatalf("the suites fail without any bug: %v\n%s", err, tail(out))
	}
	caught := make([]string, len(bugs))
	var wg sync.WaitGroup
	next := make(chan int)
	for range max(1, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				caught[i] = seededCatch(binary, bugs[i])
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
		if caught[i] == "" {
			fmt.Printf("figures: seeded %s NOT CAUGHT\n", b)
			t.Errorf("no test sees the seeded bug %q", b)
			continue
		}
		n++
		fmt.Printf("figures: seeded %s caught by %s\n", b, caught[i])
	}
	fmt.Printf("figures: seeded caught=%d/%d\n", n, len(bugs))
}

// seededCatch 是抓到 name 的那一组测试；没有则空。
func seededCatch(binary, name string) string {
	for _, s := range seededSuites {
		if _, err := seededRun(binary, name, s.run, "40", s.env); err != nil {
			return s.name
		}
	}
	return ""
}

func seededRun(binary, name, run, seeds string, more []string) ([]byte, error) {
	cmd := exec.Command(binary, append([]string{"-test.run", run, "-test.count=1", "-test.timeout=120s", "-test.failfast"}, more...)...)
	cmd.Env = append(os.Environ(), "VEGA_SEEDED_BUG="+name, "VEGA_SIM_SEEDS="+seeds, "VEGA_PROOF=", "GOMAXPROCS=1")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return out, fmt.Errorf("run %s: %w", run, err)
	}
	return out, err
}

func tail(out []byte) []byte { return out[max(0, len(out)-4000):] }

// seededBugs 读出 bugs*.go 里起过名的每一处。
func seededBugs(t *testing.T) (names []string) {
	files, err := filepath.Glob("bugs*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
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
			for _, x := range v.Values {
				if lit, ok := x.(*ast.BasicLit); ok {
					name, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					names = append(names, name)
				}
			}
			return true
		})
	}
	slices.SortFunc(names, strings.Compare)
	if len(names) == 0 {
		t.Fatal("no seeded bugs found")
	}
	return names
}
