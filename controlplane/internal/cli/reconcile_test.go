package cli_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/cli"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// ledger 照稿给出用量。
type ledger struct {
	asked usage.Query
	rows  []usage.Row
}

func (l *ledger) Query(_ context.Context, q usage.Query) (usage.Result, error) {
	l.asked = q
	return usage.Result{Rows: append([]usage.Row{}, l.rows...)}, nil
}

func (s *shell) reconcile(stdin string, o cli.ReconcileOptions) (stdout, stderr string, code int) {
	return s.run(func(st cli.Streams) error { return cli.Reconcile(s.t.Context(), s.env, st, o) }, stdin)
}

func withUsage(t *testing.T) *shell {
	s := newShell(t)
	if _, errs, code := s.apply(s.file("vega.yaml", good), cli.ApplyOptions{}); code != cli.ExitOK {
		t.Fatal(errs)
	}
	s.ledger.rows = []usage.Row{{Bucket: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Server: "gpu-1", ServedModel: "百川/大模型", Source: "reported",
		Figures: usage.Figures{Requests: 3, Attempts: 3, PromptTokens: 300, CompletionTokens: 60, CostNano: 1_500_000_000}}}
	return s
}

func TestReconcile_TableShowsBothSidesAndExitCodesTellThemApart(t *testing.T) {
	s := withUsage(t)
	head := "date,model,num_model_requests,input_tokens,output_tokens,amount_value\n"
	out, errs, code := s.reconcile("", cli.ReconcileOptions{File: s.file("bill.csv", head+"2026-11-01,m-1,3,300,60,1.5\n"), Servers: []string{"gpu-1"}, TimeZone: "UTC"})
	if code != cli.ExitOK || errs != "" || s.ledger.asked.Servers[0] != "gpu-1" {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	want := "2026-11-01 to 2026-11-01, days of UTC; each cell is our number, then what the export has more (+) or less (-); ? is not in the export\n\n" +
		"DAY         MODEL  REQUESTS  PROMPT  COMPLETION  CACHED  COST  VERDICT\n" +
		"2026-11-01  m-1    3         300     60          0 ?     1.5   match\n" +
		"total              3         300     60          0 ?     1.5   match\n"
	if out != want {
		t.Fatalf("got\n%s\nwant\n%s", out, want)
	}
	out, errs, code = s.reconcile(head+"2026-11-01,m-1,3,310,59,2\n2026-11-01,other,1,1,1,1\n", cli.ReconcileOptions{File: "-"})
	if code != cli.ExitUnexplained || !strings.Contains(errs, "nothing explains") {
		t.Fatalf("%d %s", code, errs)
	}
	for _, want := range []string{"300 +10", "60 -1", "1.5 +0.5", "unexplained", "missing_ours", "note: 2026-11-01 other: we have no usage of this model"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
}

func TestReconcile_JSONAndCSVPassThroughWithTheSameExitCode(t *testing.T) {
	s := withUsage(t)
	bill := s.file("bill.csv", "When,model,cost\n2026-11-01,their-m,1.6\n")
	o := cli.ReconcileOptions{File: bill, Maps: []string{"their-m=m-1"}, Columns: []string{"day=When"}, From: "2026-11-01", To: "2026-11-01", Format: "json"}
	out, _, code := s.reconcile("", o)
	var report struct{ Verdict string }
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Verdict != "unexplained" || code != cli.ExitUnexplained {
		t.Fatalf("%d %v %s", code, err, out)
	}
	o.Format = "csv"
	if out, _, code = s.reconcile("", o); code != cli.ExitUnexplained || !strings.HasPrefix(out, "day,model,verdict,") || !strings.Contains(out, "2026-11-01,m-1,unexplained,") {
		t.Fatalf("%d %s", code, out)
	}
}

func TestReconcile_WhatCannotBeComparedExitsWith1AndNamesTheLine(t *testing.T) {
	s := withUsage(t)
	for name, c := range map[string]struct {
		o    cli.ReconcileOptions
		text string
		says []string
	}{
		"bad lines": {cli.ReconcileOptions{File: "-"}, "day,model,cost\nx,m,1\n2026-11-01,m,\"1,5\"\n", []string{"line 2", "is not a day", "line 3", "without separators"}},
		"no file":   {cli.ReconcileOptions{File: s.dir + "/none.csv"}, "", []string{"none.csv"}},
		"no server": {cli.ReconcileOptions{File: "-", Servers: []string{"gpu-9"}}, "day,model,cost\n2026-11-01,m,1\n", []string{"gpu-9"}},
		"format":    {cli.ReconcileOptions{File: "-", Format: "xml"}, "", []string{"--format"}},
	} {
		out, errs, code := s.reconcile(c.text, c.o)
		if code != cli.ExitFailed || out != "" {
			t.Errorf("%s: %d %s", name, code, out)
		}
		for _, want := range c.says {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: lacks %q: %s", name, want, errs)
			}
		}
	}
}
