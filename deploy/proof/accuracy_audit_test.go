package proof

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// honest 是四个请求都对得上的账：完整的一个，重试过的一个，被杀在途的一个，没有到过上游的一个。
func honest() books {
	entry := func(server string, used upstreamtest.Usage, finished bool) upstreamtest.Entry {
		return upstreamtest.Entry{Authorization: "Bearer sk-" + server, Header: http.Header{"User-Agent": {"node-0/team/json"}}, Model: "json",
			Status: 200, Usage: used, UsageSent: used != upstreamtest.Usage{}, Finished: finished, Aborted: !finished}
	}
	used := upstreamtest.Usage{Prompt: 5, Completion: 7, Cached: 1, Reasoning: 2}
	told := tokens{5, 7, 1, 2}
	row := func(id, source string, attempts ...bookedAttempt) booked {
		return booked{id: id, app: "team", model: "json", server: "a", source: source, replayed: source == "unknown", attempts: attempts}
	}
	b := books{
		ledger: map[call]upstreamtest.Entry{
			{"one", 1}: entry("a", used, true), {"two", 1}: entry("b", upstreamtest.Usage{}, true), {"two", 2}: entry("a", used, true), {"dead", 1}: entry("a", upstreamtest.Usage{}, false)},
		seen: []outcome{{id: "one", status: 200, whole: true}, {id: "two", status: 200, whole: true}},
		rows: []booked{
			row("one", "reported", bookedAttempt{1, "a", "reported", told}),
			row("two", "reported", bookedAttempt{1, "b", "unknown", tokens{}}, bookedAttempt{2, "a", "reported", told}),
			row("dead", "unknown", bookedAttempt{1, "a", "unknown", tokens{}}),
			row("never", "unknown", bookedAttempt{1, "a", "unknown", tokens{}}),
		},
		totals: map[place]figure{
			{"a", "team", "json", ""}: {4, 4, tokens{10, 14, 2, 4}}, {"b", "team", "json", ""}: {0, 1, tokens{}},
			{"", "team", "json", "reported"}: {2, 2, tokens{10, 14, 2, 4}}, {"", "team", "json", "unknown"}: {2, 3, tokens{}}},
		levels: map[string]figure{"usage_hour": {4, 5, tokens{10, 14, 2, 4}}},
	}
	return b
}

// TestAudit 的每一格把对得上的账改坏一处：对账非看出来不可，否则别的证明什么也没有证明。
func TestAudit(t *testing.T) {
	if a := honest().compare(); a.bad() != 0 || a.exact != 2 || a.killed != 2 || a.asUnknown != 2 || a.withoutLedger != 1 {
		t.Fatalf("honest books: %s\n%s", a, a.sample)
	}
	for name, spoil := range map[string]func(*books){
		"a lost request":             func(b *books) { b.rows = slices.Delete(b.rows, 0, 1) },
		"a lost attempt":             func(b *books) { b.rows[1].attempts = b.rows[1].attempts[1:] },
		"a request twice":            func(b *books) { b.rows = append(b.rows, b.rows[2]) },
		"a token more":               func(b *books) { b.rows[0].attempts[0].completion++ },
		"a cached token less":        func(b *books) { b.rows[0].attempts[0].cached-- },
		"a report taken for a guess": func(b *books) { b.rows[0].attempts[0].source = "counted" },
		"a killed one as reported":   func(b *books) { b.rows[2].source = "reported" },
		"a finished one as killed":   func(b *books) { b.rows[0].replayed, b.rows[0].source = true, "partial" },
		"a phantom with tokens":      func(b *books) { b.rows[3].attempts[0].source = "partial" },
		"another server":             func(b *books) { b.rows[0].attempts[0].server = "b" },
		"another app":                func(b *books) { b.rows[0].app = "other" },
		"sent upstream twice":        func(b *books) { b.twice = 1 },
		"totals of another place": func(b *books) {
			b.totals = maps.Clone(b.totals)
			delete(b.totals, place{"b", "team", "json", ""})
		},
		"totals of another source": func(b *books) {
			b.totals = maps.Clone(b.totals)
			b.totals[place{"", "team", "json", "counted"}] = figure{requests: 1}
		},
		"a level that lags": func(b *books) { b.levels = map[string]figure{"usage_day": {4, 4, tokens{10, 14, 2, 4}}} },
	} {
		b := honest()
		spoil(&b)
		if a := b.compare(); a.bad() == 0 || a.sample == "" && name != "sent upstream twice" {
			t.Errorf("%s goes unnoticed: %s", name, a)
		}
	}
}
