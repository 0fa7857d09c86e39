package catalog

import (
	"encoding/json"
	"strings"
	"testing"
)

func budgetOf(t *testing.T, text string) *Budget {
	t.Helper()
	s := newStore()
	s.apply(t, `{"apps": [{"name": "a", "budget": `+text+`}]}`, ApplyOptions{})
	return s.cur.Apps["a"].Budget
}

func TestBudget_UnwrittenFieldsAreDefaultsAndNothingWrittenIsNoBudget(t *testing.T) {
	for text, want := range map[string]Budget{
		`{"amount": 100.5}`: {Amount: 100_500_000_000, Period: "month", TimeZone: "UTC", SoftPercent: 80},
		`{"tokens": 7, "period": "day", "time_zone": "Asia/Shanghai", "soft_percent": 0, "amount": 0}`: {Tokens: 7, Period: "day", TimeZone: "Asia/Shanghai"},
		`{"amount": 1e-9, "tokens": 1}`: {Amount: 1, Tokens: 1, Period: "month", TimeZone: "UTC", SoftPercent: 80},
	} {
		if got := budgetOf(t, text); got == nil || *got != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
	for _, text := range []string{`{}`, `null`, `{"amount": null}`} {
		if got := budgetOf(t, text); got != nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestBudget_BadFormIsReportedAtItsPath(t *testing.T) {
	for text, problem := range map[string]string{
		`5`:                                  "apps[0].budget: must be an object, not a number",
		`{"amount": "100"}`:                  "apps[0].budget.amount: must be a number, not a string",
		`{"amount": 0.0000000001}`:           "apps[0].budget.amount: must have at most 9 decimal places",
		`{"tokens": 1.5}`:                    "apps[0].budget.tokens: must be a whole number",
		`{"token": 1}`:                       `apps[0].budget.token: unknown field; did you mean "tokens"?`,
		`{"tokens": 1, "period": "week"}`:    "apps[0].budget.period: must be one of month, day",
		`{"tokens": 1, "time_zone": 8}`:      "apps[0].budget.time_zone: must be a string",
		`{"tokens": 1, "soft_percent": "x"}`: "apps[0].budget.soft_percent: must be a number",
	} {
		_, err := Parse([]byte(`{"apps": [{"name": "a", "budget": ` + text + `}]}`))
		if err == nil || !strings.Contains(listing(err), problem) {
			t.Errorf("%s: %s", text, listing(err))
		}
	}
}

func TestBudget_GoesRoundThroughAnExportAndAView(t *testing.T) {
	s := newStore()
	s.apply(t, `{"apps": [{"name": "a", "budget": {"amount": 100.123456789, "period": "day"}}, {"name": "b"}]}`, ApplyOptions{})
	before := s.cur
	text, err := json.Marshal(s.cur.Export())
	if err != nil {
		t.Fatal(err)
	}
	s.apply(t, string(text), ApplyOptions{Prune: true})
	if d := Compare(before, s.cur); !d.Empty() {
		t.Errorf("putting the export back changes %+v", d)
	}
	if !strings.Contains(string(text), `"amount":100.123456789`) {
		t.Errorf("%s", text)
	}
	view, _ := s.cur.AppView("a")
	doc, err := ParseObject(KindApp, "a", []byte(asJSON(t, view)))
	if err != nil || doc.Apps[0].Budget == nil || *doc.Apps[0].Budget != *before.Apps["a"].Budget {
		t.Errorf("%v %+v", err, doc)
	}
}

func TestBudget_ChangesShowInTheDiffAndComeBackWithARollback(t *testing.T) {
	s := newStore()
	s.apply(t, `{"apps": [{"name": "a", "budget": {"tokens": 100}}]}`, ApplyOptions{})
	past := s.cur
	s.apply(t, `{"apps": [{"name": "a", "budget": {"tokens": 250}}]}`, ApplyOptions{})
	if items := Diff(past, s.cur); len(items) != 1 || items[0].String() != "app a updated (budget.tokens: 100 → 250)" {
		t.Errorf("%v", items)
	}
	s.apply(t, `{"apps": [{"name": "a"}]}`, ApplyOptions{})
	if s.cur.Apps["a"].Budget != nil {
		t.Error("an app is replaced whole: a budget left out is gone")
	}
	if back := Rollback(s.cur, past); back.Apps["a"].Budget == nil || back.Apps["a"].Budget.Tokens != 100 {
		t.Errorf("%+v", back.Apps["a"])
	}
}
