package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/embedded"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// question 是控制台的一问，与它至少该有的行数。
type question struct {
	name string
	rows int
	q    usage.Query
}

func (l usageLoad) questions() []question {
	day := l.now.Truncate(24 * time.Hour)
	all := func(q usage.Query) usage.Query {
		q.From, q.To = day.AddDate(0, 0, 1-l.days), l.now
		return q
	}
	group := func(d ...usage.Dimension) []usage.Dimension { return d }
	week := all(usage.Query{Interval: usage.IntervalHour})
	week.From = l.now.AddDate(0, 0, -min(7, l.days-1)).Truncate(time.Hour)
	month := usage.Query{From: day.AddDate(0, 0, -min(30, l.days-1)), To: day, GroupBy: group(usage.ByApp, usage.ByModel)}
	return []question{
		{"overview_24h", 1, usage.Query{From: l.now.Add(-24 * time.Hour), To: l.now}},
		{"hours_24h_by_model", 24 * l.models, usage.Query{From: l.now.Add(-24 * time.Hour), To: l.now, Interval: usage.IntervalHour, GroupBy: group(usage.ByModel)}},
		{"days_all_top10_server", l.days * 11, all(usage.Query{Interval: usage.IntervalDay, GroupBy: group(usage.ByServer), Top: 10})},
		{"days_all_top10_app_by_cost", l.days * 11, all(usage.Query{Interval: usage.IntervalDay, GroupBy: group(usage.ByApp), Top: 10, OrderBy: usage.OrderCost})},
		{"days_all_by_model", l.days * l.models, all(usage.Query{Interval: usage.IntervalDay, GroupBy: group(usage.ByModel)})},
		{"days_all_one_app_by_model", l.days, all(usage.Query{Interval: usage.IntervalDay, GroupBy: group(usage.ByModel), Apps: []string{"app-007"}})},
		{"all_one_server_by_app", 2, all(usage.Query{GroupBy: group(usage.ByApp), Servers: []string{"gpu-007"}})},
		{"hours_week", 24 * min(7, l.days-1), week},
		{"percentiles_all_by_model", l.models, all(usage.Query{GroupBy: group(usage.ByModel), Percentiles: []float64{50, 95, 99}})},
		{"csv_month_app_by_model", l.apps, month},
		{"days_all_shanghai", l.days, all(usage.Query{Interval: usage.IntervalDay, TimeZone: "Asia/Shanghai"})},
		{"days_all_shanghai_top10_app", l.days * 11, all(usage.Query{Interval: usage.IntervalDay, TimeZone: "Asia/Shanghai", GroupBy: group(usage.ByApp), Top: 10})},
		{"days_all_shanghai_one_app_by_model", l.days, all(usage.Query{Interval: usage.IntervalDay, TimeZone: "Asia/Shanghai", GroupBy: group(usage.ByModel), Apps: []string{"app-007"}})},
		{"days_all_shanghai_one_server_by_app", l.days, all(usage.Query{Interval: usage.IntervalDay, TimeZone: "Asia/Shanghai", GroupBy: group(usage.ByApp), Servers: []string{"gpu-007"}})},
	}
}

// library 是一个自己的 PostgreSQL，可以停下来、把它的文件赶出页缓存、再起来。
type library struct {
	t   testing.TB
	dir string
	srv *embedded.Server
}

func (l *library) open() *Store {
	l.t.Helper()
	srv, err := embedded.Start(l.t.Context(), embedded.Config{DataDir: l.dir})
	if err != nil {
		l.t.Fatal(err)
	}
	l.srv = srv
	if _, err := Migrate(l.t.Context(), srv.URL()); err != nil {
		l.t.Fatal(err)
	}
	s, err := Open(l.t.Context(), srv.URL(), 1)
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

func (l *library) close(s *Store) {
	l.t.Helper()
	s.Close()
	if err := l.srv.Stop(context.WithoutCancel(l.t.Context())); err != nil {
		l.t.Fatal(err)
	}
}

// chill 把数据文件赶出页缓存：只碰自己的文件，别的进程不受影响。
func (l *library) chill() {
	l.t.Helper()
	const dontNeed = 4
	err := filepath.WalkDir(l.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Sync(); err != nil {
			return err
		}
		if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, dontNeed, 0, 0); errno != 0 {
			return errno
		}
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// cpu 是至今本进程与（唯一的）数据库会话用掉的处理器时间：机器忙的时候，钟上的时间说明不了查询有多重。
func (l *library) cpu(s *Store) time.Duration {
	l.t.Helper()
	var pid int
	if err := s.pool.QueryRow(l.t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		l.t.Fatal(err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		l.t.Fatal(err)
	}
	var ran int64
	if _, err := fmt.Sscan(string(text), &ran); err != nil {
		l.t.Fatal(err)
	}
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		l.t.Fatal(err)
	}
	return time.Duration(ran + self.Utime.Nano() + self.Stime.Nano())
}

// TestUsageQuery_ConsoleQuestionsOverManyRows 量控制台各问的快慢；答得对不对只看行数与几种问法互相印证。
func TestUsageQuery_ConsoleQuestionsOverManyRows(t *testing.T) {
	l := usageLoad{now: time.Date(2026, 11, 20, 12, 34, 30, 0, time.UTC), days: 4, combos: 200, servers: 50, apps: 200, models: 20}
	warm := 5
	if os.Getenv("VEGA_PROOF") == "full" {
		l.days, l.combos, warm = 90, 2000, 40
	}
	lib := &library{t: t, dir: t.TempDir()}
	s := lib.open()
	began := time.Now()
	l.fill(t.Context(), t, s)
	var rows int64
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM usage_hour").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	t.Logf("figures: usage_query_load rows=%d seconds=%.0f", rows, time.Since(began).Seconds())
	lib.close(s)
	var every []time.Duration
	for _, q := range l.questions() {
		lib.chill()
		s := lib.open()
		ask := func() (time.Duration, usage.Result) {
			began := time.Now()
			res, err := usage.NewReader(s, func() time.Time { return l.now }).Query(t.Context(), q.q)
			if err != nil {
				t.Fatalf("%s: %v", q.name, err)
			}
			return time.Since(began), res
		}
		cold, res := ask()
		if len(res.Rows) < q.rows {
			t.Errorf("%s: %d rows, want at least %d", q.name, len(res.Rows), q.rows)
		}
		times := make([]time.Duration, warm)
		busy := lib.cpu(s)
		for i := range times {
			times[i], _ = ask()
		}
		busy = (lib.cpu(s) - busy) / time.Duration(warm)
		slices.Sort(times)
		every = append(every, times...)
		fmt.Printf("figures: usage_query rows=%d name=%s answer_rows=%d cold_ms=%.0f cpu_ms=%.1f best_ms=%.1f p50_ms=%.1f p95_ms=%.1f\n",
			rows, q.name, len(res.Rows), ms(cold), ms(busy), ms(times[0]), ms(at(times, 0.5)), ms(at(times, 0.95)))
		lib.close(s)
	}
	slices.Sort(every)
	fmt.Printf("figures: usage_query rows=%d name=all p50_ms=%.1f p95_ms=%.1f\n", rows, ms(at(every, 0.5)), ms(at(every, 0.95)))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func at(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
