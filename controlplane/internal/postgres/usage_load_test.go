package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// usageLoad 是造出来的一段用量：每天 combos 个（server、app、model）活跃，每个每小时一行；四分之三的组合天天都在，其余天天换。
type usageLoad struct {
	now                   time.Time
	days, combos          int
	servers, apps, models int
}

// loadColumns 由组合的编号 i 得出各栏；直方图取自 blobs，大小与真的相当。
const loadColumns = `
    i %% 7 + 20, i %% 7 + 21, 0, i %% 3, i %% 2, 0, i %% 5, i %% 4, i %% 6, i %% 7 + 20, i %% 11 / 10, i %% 13 / 12,
    (i %% 7 * 900 + 9000), (i %% 9 * 500 + 3000), i %% 9 * 100, i %% 9 * 50, (i %% 9 + 1) * 1000000,
    i %% 9 * 1000, i %% 9 * 400000, i %% 7 + 20, i %% 9 * 3000000, i %% 9 * 2000000,
    q.blob, f.blob, d.blob`

const loadDims = `'gpu-' || lpad(((i * 7 + i / 200 + shift) %% %d)::text, 3, '0'), 'app-' || lpad((i %% %d)::text, 3, '0'),
    'model-' || lpad(((i / 200 + i) %% %d)::text, 2, '0')`

// fill 写满各级；按时间次序写，与 roller 写下的次序相同。
func (l usageLoad) fill(ctx context.Context, t testing.TB, s *Store) {
	t.Helper()
	from := l.now.Truncate(24*time.Hour).AddDate(0, 0, 1-l.days)
	if err := s.PrepareUsage(ctx, from, l.now); err != nil {
		t.Fatal(err)
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	l.blobs(ctx, t, conn.Conn())
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(ctx, sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for day := range l.days {
		start := from.AddDate(0, 0, day)
		end := start.Add(23 * time.Hour)
		if end.After(l.now) {
			end = l.now.Truncate(time.Hour)
		}
		exec(l.insert("usage_hour", "bucket", "1 hour", day), start, end)
	}
	for _, hour := range []time.Time{l.now.Add(-24 * time.Hour).Truncate(time.Hour), l.now.Truncate(time.Hour)} {
		exec(l.insert("usage_minute", "bucket", "1 minute", l.days-1), hour, hour.Add(59*time.Minute))
	}
	exec(l.insert("usage_delta", "minute", "1 minute", l.days-1), l.now.Truncate(time.Minute), l.now.Truncate(time.Minute))
	counters, histograms := usage.CounterColumns(), usage.HistogramColumns()
	sums := "sum(" + strings.Join(counters[:], "), sum(") + "), (array_agg(" + strings.Join(histograms[:], "))[1], (array_agg(") + "))[1]"
	exec("INSERT INTO usage_day SELECT date_trunc('day', bucket, 'UTC'), server, app, model, served_model, source, code, " + sums +
		" FROM usage_hour GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1")
	for _, level := range []string{"usage_hour", "usage_day"} {
		var dims []string
		for dim, column := range []string{"''", "server", "app", "model"} {
			dims = append(dims, fmt.Sprintf("SELECT bucket, %d AS dim, %s AS name, source, %s FROM %s GROUP BY bucket, 3, source", dim, column, sums, level))
		}
		exec("INSERT INTO " + level + "_by " + strings.Join(dims, " UNION ALL ") + " ORDER BY bucket, dim, name")
	}
	exec("VACUUM ANALYZE")
}

// insert 写 $1 至 $2 每 step 一个桶、每桶 combos 行。
func (l usageLoad) insert(table, bucket, step string, day int) string {
	counters, histograms := usage.CounterColumns(), usage.HistogramColumns()
	return fmt.Sprintf(`INSERT INTO %s (%s, server, app, model, served_model, source, code, %s, %s)
SELECT t, server, app, model, model, coalesce((ARRAY[2, 3])[1 + i / 200 %% 5], 1), '', `+loadColumns+`
FROM generate_series($1::timestamptz, $2::timestamptz, '%s') AS t, generate_series(0, %d) AS i,
    LATERAL (SELECT CASE WHEN i %% 4 = 0 THEN %d ELSE 0 END) AS x (shift),
    LATERAL (SELECT `+loadDims+`) AS dims (server, app, model), blobs AS q, blobs AS f, blobs AS d
WHERE q.kind = 0 AND q.n = i %% 64 AND f.kind = 1 AND f.n = i %% 64 AND d.kind = 2 AND d.n = i %% 64
ORDER BY t`, table, bucket, strings.Join(counters[:], ", "), strings.Join(histograms[:], ", "), step, l.combos-1, day, l.servers, l.apps, l.models)
}

// blobs 是 64 份真的直方图：一小时几十个请求，多数不排队。
func (l usageLoad) blobs(ctx context.Context, t testing.TB, conn *pgx.Conn) {
	t.Helper()
	if _, err := conn.Exec(ctx, "CREATE TEMP TABLE blobs (kind int, n int, blob bytea, PRIMARY KEY (kind, n))"); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for kind, typical := range []float64{2_000, 400_000, 3_000_000} {
		for n := range 64 {
			var h usage.Histogram
			for range 40 {
				if us := int64(typical * (0.3 + rng.ExpFloat64())); kind > 0 || rng.IntN(5) == 0 {
					h.Observe(us)
				} else {
					h.Observe(0)
				}
			}
			if _, err := conn.Exec(ctx, "INSERT INTO blobs VALUES ($1, $2, $3)", kind, n, h.Append([]byte{})); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := conn.Exec(ctx, "ANALYZE blobs"); err != nil {
		t.Fatal(err)
	}
}
