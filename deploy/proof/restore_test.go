package proof

import (
	"context"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// TestRestore_HealsWithinRetention 在负荷之下把数据库换回一份真的基础备份，节点与控制面都不停：
// 备份之后入过库的，由节点从留着的日志补回，一笔不丢、一笔不多。
func TestRestore_HealsWithinRetention(t *testing.T) {
	t.Parallel()
	f := newFleet(t, shape{nodes: 2, outside: true, upstream: upstreamtest.Config{Script: scripted}}, func(f *fleet) doc { return f.mixture() })
	m := f.mixer()
	m.steady(float64(size(60, 150)), rand.Uint64())
	lead := time.Duration(size(5, 30)) * time.Second
	pause(t.Context(), lead)
	backup := filepath.Join(filepath.Dir(f.pg.Dir), "backup")
	if err := f.pg.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	kept := f.count(t.Context(), "usage_request")
	pause(t.Context(), lead)
	before := f.count(t.Context(), "usage_request")
	f.pg.Crash()
	if err := f.pg.Restore(backup); err != nil {
		t.Fatal(err)
	}
	if err := f.pg.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for f.count(t.Context(), "usage_request") < before {
		if pause(t.Context(), 50*time.Millisecond); time.Since(began) > time.Minute {
			t.Fatalf("%d requests were counted before, %d are a minute later", before, f.count(t.Context(), "usage_request"))
		}
	}
	healed := time.Since(began)
	pause(t.Context(), 2*time.Second)
	seen := m.finish()
	f.drained(t.Context())
	a := f.audit(t.Context(), seen)
	regressions, lost := 0.0, f.lost(t.Context())
	for _, v := range f.planeMetric("vega_usage_cursor_regressions_total") {
		regressions += v
	}
	conservation := f.conserved(t.Context())
	figures("restore case=within_retention sent=%d counted_before=%d gone_back=%d regressions=%.0f healed_after=%s gaps_lost=%d %s conservation=%d",
		len(seen), before, before-kept, regressions, short(healed), lost, a, conservation)
	tabulate(t, seen)
	a.judge(t)
	if before <= kept || regressions == 0 {
		t.Errorf("nothing went back: %d counted after the backup, %.0f regressions seen", before-kept, regressions)
	}
	if lost != 0 || conservation != 0 {
		t.Errorf("%d records in gaps, aggregates and cursors differ by %d", lost, conservation)
	}
}

// TestRestore_CountsWhatIsBeyondRetention 把节点留备用的压到一秒，换回一份更早的备份：补不回的恰好成为洞，
// 洞里的请求、调用与 token 数就是上游的账里表没有的那些。
func TestRestore_CountsWhatIsBeyondRetention(t *testing.T) {
	t.Parallel()
	f := newFleet(t, shape{nodes: 1, outside: true, upstream: upstreamtest.Config{Script: scripted},
		nodeEnv: []string{"VEGA_JOURNAL_KEEP=1s", "VEGA_JOURNAL_MAX_BYTES=67108864"}}, func(f *fleet) doc { return f.mixture() })
	blast := func(n int) []outcome {
		m := f.mixer()
		m.only = "json"
		return m.batch(24, n)
	}
	seen := blast(500)
	f.drained(t.Context())
	backup := filepath.Join(filepath.Dir(f.pg.Dir), "backup")
	if err := f.pg.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	oldest := f.oldestSegment()
	for f.oldestSegment() == oldest {
		seen = append(seen, blast(3000)...)
		if len(seen) > 200_000 {
			t.Fatal("nothing was dropped")
		}
		pause(t.Context(), 1500*time.Millisecond) // 留备用的一秒，与每秒一次的清理
	}
	f.drained(t.Context())
	f.pg.Crash()
	if err := f.pg.Restore(backup); err != nil {
		t.Fatal(err)
	}
	if err := f.pg.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	(&killer{f: f}).revive(t.Context())
	seen = append(seen, blast(500)...)
	f.drained(t.Context())
	a := f.audit(t.Context(), seen)
	missing := f.missing(t.Context())
	gap := f.gaps(t.Context())
	said := f.saidLost(t.Context())
	conservation := f.conserved(t.Context())
	figures("restore case=beyond_retention gap_rows=%d usage_says_lost=%d gap_requests=%d gap_attempts=%d gap_prompt_tokens=%d gap_completion_tokens=%d missing_requests=%d missing_attempts=%d missing_prompt_tokens=%d missing_completion_tokens=%d conservation=%d %s",
		f.count(t.Context(), "usage_gap"), said, gap.requests, gap.attempts, gap.prompt, gap.completion, missing.requests, missing.attempts, missing.prompt, missing.completion, conservation, a)
	if missing.requests == 0 {
		t.Error("nothing was beyond retention")
	}
	if gap != missing || said != missing.requests || conservation != 0 {
		t.Errorf("the gaps say %+v, GET /usage says %d requests, the upstream's ledger says %+v; aggregates and cursors differ by %d", gap, said, missing, conservation)
	}
	if a.lost = 0; a.bad() != 0 { // 少的就是洞里的，上面对过了
		t.Errorf("the books differ: %s\nthe first: %s", a, a.sample)
	}
}

// oldestSegment 是第一个节点最早的一段。
func (f *fleet) oldestSegment() string {
	f.t.Helper()
	found, err := filepath.Glob(filepath.Join(f.DataDir(0), "*", "*.seg"))
	if err != nil || len(found) == 0 {
		f.t.Fatalf("no segment in the data directory: %v", err)
	}
	return found[0]
}

// missing 是上游的账里、逐条的请求里没有的；每个请求只调用一次上游时才数得对请求。
func (f *fleet) missing(ctx context.Context) (sum figure) {
	f.t.Helper()
	ledger, _ := f.ledger()
	for _, r := range f.requests(ctx) {
		for _, at := range r.attempts {
			delete(ledger, call{r.id, at.number})
		}
	}
	for k, e := range ledger {
		if k.number == 1 {
			sum.requests++
		}
		sum.attempts++
		sum.add(tokens{int64(e.Prompt), int64(e.Completion), int64(e.Cached), int64(e.Reasoning)})
	}
	return sum
}

// gaps 是各洞里的总数。
func (f *fleet) gaps(ctx context.Context) figure {
	f.t.Helper()
	return f.figure(ctx, "usage_gap")
}

// saidLost 是 GET /usage 说再也拿不出的请求数。
func (f *fleet) saidLost(ctx context.Context) int64 {
	f.t.Helper()
	var report struct {
		Accuracy struct{ Lost struct{ Requests int64 } }
	}
	if err := f.Admin.Call(ctx, http.MethodGet, "/usage", nil, &report); err != nil {
		f.t.Fatal(err)
	}
	return report.Accuracy.Lost.Requests
}

// count 数一张表的行。
func (f *fleet) count(ctx context.Context, table string) int {
	f.t.Helper()
	n, err := strconv.Atoi(f.sql(ctx, "SELECT count(*) FROM "+table)[0][0])
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// lost 是各洞里的记录数之和。
func (f *fleet) lost(ctx context.Context) int {
	f.t.Helper()
	n, err := strconv.Atoi(f.sql(ctx, "SELECT coalesce(sum(lost), 0) FROM usage_gap")[0][0])
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}
