package browser

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// result 是别的测试程序里的一个用例。
type result struct {
	file, title string
	// status 是 passed、skipped 或别的；别的一律是失败。
	status string
	text   string
}

// report 是一次运行的全部用例；errors 是不属于哪个用例的（文件读不进来之类）。
type report struct {
	results []result
	errors  []string
}

// run 把每个用例变成一个子用例；一个也没有、有跳过的、有不属于用例的错误，都是失败。
func (r report) run(t *testing.T, ran error) {
	t.Helper()
	for _, e := range r.errors {
		t.Errorf("%s", e)
	}
	if len(r.results) == 0 {
		t.Fatalf("no test ran: %v", ran)
	}
	byFile := map[string][]result{}
	var files []string
	for _, one := range r.results {
		if byFile[one.file] == nil {
			files = append(files, one.file)
		}
		byFile[one.file] = append(byFile[one.file], one)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			for _, one := range byFile[file] {
				t.Run(one.title, one.judge)
			}
		})
	}
	if ran != nil && !t.Failed() {
		t.Errorf("every test passed, and yet: %v", ran)
	}
}

func (r result) judge(t *testing.T) {
	switch r.status {
	case "passed":
	case "skipped":
		t.Error("skipped: a test that does not run proves nothing")
	default:
		t.Errorf("%s\n%s", r.status, r.text)
	}
}

// readJSON 读测试程序写下的报告；没有写下时，连同它的退出码一起说。
func readJSON(t *testing.T, path string, ran error, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("no report: %v; the run ended with: %v", err, ran)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// colors 是终端的颜色，报告的文字里也有。
var colors = regexp.MustCompile("\x1b\\[[0-9;]*m")

func plain(s string) string { return colors.ReplaceAllString(s, "") }

// playwright 是它 JSON 报告里用得着的部分。
type playwright struct {
	Suites []playwrightSuite
	Errors []playwrightError
}

type playwrightSuite struct {
	Title, File string
	Specs       []struct {
		Title string
		Tests []struct {
			Status      string // expected、unexpected、flaky、skipped
			Annotations []struct{ Type, Description string }
			Results     []struct {
				Status      string
				Errors      []playwrightError
				Attachments []struct{ Name, Path string }
			}
		}
	}
	Suites []playwrightSuite
}

type playwrightError struct{ Message string }

func (p playwright) report() report {
	var r report
	for _, e := range p.Errors {
		r.errors = append(r.errors, plain(e.Message))
	}
	for _, s := range p.Suites {
		r.results = append(r.results, s.results(nil)...)
	}
	return r
}

// looked 是 axe 查过的页：路径的第一段，总览是 overview。
func (p playwright) looked() map[string]bool {
	pages := map[string]bool{}
	for suites := p.Suites; len(suites) > 0; suites = suites[1:] {
		suites = append(suites, suites[0].Suites...)
		for _, spec := range suites[0].Specs {
			for _, one := range spec.Tests {
				for _, a := range one.Annotations {
					if name, _, _ := strings.Cut(strings.Trim(a.Description, "/"), "/"); a.Type == "axe" {
						pages[cmp.Or(name, "overview")] = true
					}
				}
			}
		}
	}
	return pages
}

// results 摊平一层 describe；above 是外层的标题。
func (s playwrightSuite) results(above []string) []result {
	var out []result
	for _, spec := range s.Specs {
		for _, one := range spec.Tests {
			got := result{file: s.File, title: strings.Join(append(above, spec.Title), " › "), status: "passed"}
			if one.Status == "skipped" {
				got.status = "skipped"
			} else if one.Status != "expected" {
				got.status = one.Status
			}
			var text strings.Builder
			for i, run := range one.Results {
				for _, e := range run.Errors {
					fmt.Fprintf(&text, "%s (run %d)\n%s\n", run.Status, i+1, plain(e.Message))
				}
				for _, a := range run.Attachments {
					if a.Path != "" {
						fmt.Fprintf(&text, "%s: %s\n", a.Name, a.Path)
					}
				}
			}
			got.text = text.String()
			out = append(out, got)
		}
	}
	for _, inner := range s.Suites {
		out = append(out, inner.results(append(above, inner.Title))...)
	}
	return out
}

// vitest 是它 JSON 报告里用得着的部分，形状与 Jest 的一样。
type vitest struct {
	TestResults []struct {
		Name, Status, Message string
		AssertionResults      []struct {
			FullName, Status string
			FailureMessages  []string
		}
	}
}

// report 的文件名相对于 dir。
func (v vitest) report(dir string) report {
	var r report
	for _, file := range v.TestResults {
		name, err := filepath.Rel(dir, file.Name)
		if err != nil {
			name = file.Name
		}
		for _, one := range file.AssertionResults {
			status := one.Status
			if status == "pending" || status == "todo" {
				status = "skipped"
			}
			r.results = append(r.results, result{file: name, title: one.FullName, status: status, text: plain(strings.Join(one.FailureMessages, "\n"))})
		}
		if file.Status != "passed" && file.Message != "" {
			r.errors = append(r.errors, name+": "+plain(file.Message))
		}
	}
	return r
}
