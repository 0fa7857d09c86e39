package browser

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestReport_OnlyAPassIsAPass(t *testing.T) {
	var p playwright
	raw := `{"errors":[{"message":"\u001b[31mcannot load\u001b[0m b.spec.ts"}],"suites":[{"title":"a.spec.ts","file":"a.spec.ts",
		"specs":[{"title":"good","tests":[{"status":"expected","results":[{"status":"passed"}]}]},
			{"title":"left out","tests":[{"status":"skipped","results":[]}]},
			{"title":"wavers","tests":[{"status":"flaky","results":[{"status":"failed","errors":[{"message":"once"}]},{"status":"passed"}]}]}],
		"suites":[{"title":"inner","file":"a.spec.ts","specs":[{"title":"bad","tests":[{"status":"unexpected",
			"results":[{"status":"timedOut","errors":[{"message":"\u001b[2mtoo slow\u001b[22m"}],"attachments":[{"name":"trace","path":"/t/trace.zip"}]}]}]}]}]}]}`
	if err := json.Unmarshal([]byte(raw), &p); err != nil {
		t.Fatal(err)
	}
	got := p.report()
	want := map[string]string{"good": "passed", "left out": "skipped", "wavers": "flaky", "inner › bad": "unexpected"}
	if len(got.results) != len(want) || len(got.errors) != 1 || got.errors[0] != "cannot load b.spec.ts" {
		t.Fatalf("got %+v", got)
	}
	for _, r := range got.results {
		if r.status != want[r.title] || r.file != "a.spec.ts" {
			t.Errorf("got %+v", r)
		}
		if r.title == "inner › bad" && (!strings.Contains(r.text, "too slow") || !strings.Contains(r.text, "trace: /t/trace.zip") || strings.Contains(r.text, "\x1b")) {
			t.Errorf("the failure reads %q", r.text)
		}
	}
}

func TestReport_VitestSkipsAndBrokenFilesAreSeen(t *testing.T) {
	var v vitest
	raw := `{"testResults":[{"name":"/r/src/a.test.ts","status":"failed","message":"","assertionResults":[
			{"fullName":"good","status":"passed"},{"fullName":"later","status":"todo"},{"fullName":"bad","status":"failed","failureMessages":["1 is not 2"]}]},
		{"name":"/r/src/b.test.ts","status":"failed","message":"no such module","assertionResults":[]}]}`
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatal(err)
	}
	got := v.report("/r")
	want := []result{{"src/a.test.ts", "good", "passed", ""}, {"src/a.test.ts", "later", "skipped", ""}, {"src/a.test.ts", "bad", "failed", "1 is not 2"}}
	if len(got.results) != len(want) || len(got.errors) != 1 || got.errors[0] != "src/b.test.ts: no such module" {
		t.Fatalf("got %+v", got)
	}
	for i, r := range got.results {
		if r != want[i] {
			t.Errorf("got %+v, want %+v", r, want[i])
		}
	}
}
