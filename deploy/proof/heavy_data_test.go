package proof

import (
	"fmt"
	"strings"
	"time"
)

// measures 是各级的表里可相加的数，与造出来的每一行里的值。
var measures = []struct {
	column string
	value  int
}{
	{"requests", 40}, {"attempts", 41}, {"refused", 0}, {"errors_client", 1}, {"errors_upstream", 1}, {"errors_gateway", 0}, {"errors_limit", 0},
	{"aborted", 1}, {"attempt_errors", 2}, {"attempts_with_usage", 40}, {"replayed", 0}, {"unjournalled", 0}, {"prompt_tokens", 20000},
	{"completion_tokens", 9000}, {"cached_tokens", 500}, {"reasoning_tokens", 300}, {"cost_nano", 150_000_000}, {"queue_us", 9000},
	{"first_byte_us", 4_000_000}, {"first_byte_count", 40}, {"duration_us", 30_000_000}, {"upstream_us", 29_000_000},
}

// history 是造 days 天历史的 SQL：每天 combinations 种 server × app × model 各 24 小时；天与按单个维度合计的由小时算出，同 roller 写的。
func history(now time.Time, days, combinations int) string {
	var columns, values, sums []string
	for _, m := range measures {
		columns, values, sums = append(columns, m.column), append(values, fmt.Sprint(m.value)), append(sums, "sum("+m.column+")")
	}
	const hists = ", queue_hist, first_byte_hist, duration_hist"
	const empty = ", ''::bytea, ''::bytea, ''::bytea"
	into, given, added := strings.Join(columns, ", ")+hists, strings.Join(values, ", ")+empty, strings.Join(sums, ", ")+empty
	end := now.UTC().Truncate(time.Hour)
	var b strings.Builder
	b.WriteString("SET TIME ZONE 'UTC'; SET synchronous_commit = off; SET work_mem = '64MB';\n" + partitions(end.AddDate(0, 0, -days), end))
	fmt.Fprintf(&b, `INSERT INTO usage_hour (%s, bucket, server, app, model, served_model, source, code)
SELECT %s, h, 's-' || c %% 50, 'app-' || c %% 200, 'model-' || (c + c / 200) %% 20, 'model-' || (c + c / 200) %% 20, 1 + (c %% 9 = 0)::int, ''
FROM generate_series('%s'::timestamptz, '%s', '1 hour') AS h, generate_series(1, %d) AS c;
`, into, given, end.AddDate(0, 0, -days).Format(time.RFC3339), end.Add(-time.Hour).Format(time.RFC3339), combinations)
	const key = "server, app, model, served_model, source, code"
	fmt.Fprintf(&b, "INSERT INTO usage_day (%s, bucket, %s)\nSELECT %s, date_trunc('day', bucket) AS d, %s FROM usage_hour GROUP BY d, %s;\n", into, key, added, key, key)
	for dim, name := range []string{"''", "server", "app", "model"} {
		fmt.Fprintf(&b, "INSERT INTO usage_hour_by (%s, bucket, dim, name, source)\nSELECT %s, bucket, %d, %s AS n, source FROM usage_hour GROUP BY bucket, n, source;\n", into, added, dim, name)
	}
	fmt.Fprintf(&b, "INSERT INTO usage_day_by (%s, bucket, dim, name, source)\nSELECT %s, date_trunc('day', bucket) AS d, dim, name, source FROM usage_hour_by GROUP BY d, dim, name, source;\n", into, added)
	b.WriteString("ANALYZE usage_hour; ANALYZE usage_day; ANALYZE usage_hour_by; ANALYZE usage_day_by;\n")
	return b.String()
}

// partitions 建好 [from, to] 碰到的各月；名字与 roller 的相同，它就不再建。
func partitions(from, to time.Time) string {
	var b strings.Builder
	for _, table := range []string{"usage_hour", "usage_day", "usage_hour_by", "usage_day_by"} {
		for m := time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC); !m.After(to); m = m.AddDate(0, 1, 0) {
			fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %[1]s_%[2]s PARTITION OF %[1]s FOR VALUES FROM ('%[3]s') TO ('%[4]s');\n", table, m.Format("200601"),
				m.Format(time.RFC3339), m.AddDate(0, 1, 0).Format(time.RFC3339))
		}
	}
	return b.String()
}
