package usage

import (
	"bytes"
	"context"
	"encoding/csv"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

type fakeQueries struct {
	got  Query
	rows []Row
}

func (f *fakeQueries) QueryUsage(_ context.Context, q Query, limit int) (Result, error) {
	f.got = q
	return Result{Rows: f.rows[:min(len(f.rows), limit)]}, nil
}

func TestReader_NamesEveryBadParameterAtOnce(t *testing.T) {
	r := NewReader(&fakeQueries{}, func() time.Time { return testNow })
	_, err := r.Query(t.Context(), Query{
		From: testNow, To: testNow.Add(-time.Hour), Interval: "week", TimeZone: "Mars/Olympus",
		GroupBy: []Dimension{"server", "server", "app; DROP TABLE nodes", "model"}, Servers: make([]string, 1001), Models: []string{"a\x00b"},
		ServedModels: []string{"\xff"}, Sources: []string{"guessed"}, Codes: []string{"\x00"}, Top: 5000, OrderBy: "name",
		Percentiles: []float64{50, 50, 0, 101, math.NaN()},
	})
	e := vegaerr.As(err)
	var paths []string
	for _, p := range e.Problems {
		paths = append(paths, p.Path)
	}
	slices.Sort(paths)
	if e.Code != vegaerr.Invalid || !slices.Equal(paths, []string{"code", "from", "group_by", "group_by", "group_by", "interval", "model", "order_by",
		"percentiles", "percentiles", "percentiles", "percentiles", "served_model", "server", "source", "time_zone", "top"}) {
		t.Fatalf("%v: %v", e, paths)
	}
	for _, q := range []Query{
		{TimeZone: "Local"}, {TimeZone: "../../etc/passwd"}, {From: testNow.AddDate(-3, 0, 0), Interval: IntervalMinute},
		{To: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}, {Top: 3}, {Top: -1, GroupBy: []Dimension{ByApp}}, {OrderBy: OrderCost},
		{Percentiles: make([]float64, 11)},
	} {
		if _, err := r.Query(t.Context(), q); vegaerr.CodeOf(err) != vegaerr.Invalid {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestReader_DefaultsToTheLastDayOnWholeMinutes(t *testing.T) {
	store := &fakeQueries{rows: []Row{{Server: "b", Figures: Figures{Requests: 1}}, {Server: "a", Figures: Figures{Requests: 2, CostNano: 5}}}}
	res, err := NewReader(store, func() time.Time { return testNow }).Query(t.Context(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	want := time.Date(2026, 11, 23, 12, 1, 0, 0, time.UTC)
	if !store.got.To.Equal(want) || !store.got.From.Equal(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)) || store.got.Interval != IntervalNone {
		t.Fatalf("got %+v", store.got)
	}
	if res.Totals.Figures != (Figures{Requests: 3, CostNano: 5}) || res.Rows[0].Server != "a" {
		t.Fatalf("got %+v", res)
	}
	store.rows = make([]Row, maxRows+5)
	if _, err := NewReader(store, nil).Query(t.Context(), Query{}); vegaerr.CodeOf(err) != vegaerr.Invalid {
		t.Fatalf("too many rows: %v", err)
	}
}

func TestWriteCSV_IsReadBackAndNeverAFormula(t *testing.T) {
	names := []string{`=HYPERLINK("http://x","y")`, "+1", "-1", "@SUM(A1)", "\tx", "＝1", "plain", `with "quotes", commas`, "", "模型/a"}
	res := Result{Percentiles: []float64{99.9}}
	for _, n := range names {
		res.Rows = append(res.Rows, Row{Bucket: testNow, Model: n, ServedModel: n, Code: n, Latency: &Latency{QueueMS: []float64{1.5}}, Figures: Figures{Requests: 2, QueueUS: 3000, CostNano: 1_500_000_000}})
	}
	var b bytes.Buffer
	if err := WriteCSV(&b, res); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(b.Bytes(), []byte("\r\n")) {
		t.Fatal("RFC 4180 ends lines with CRLF")
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != len(names)+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, n := range names {
		want := n
		if i < 6 {
			want = "'" + n
		}
		row := rows[i+1]
		if row[3] != want || row[23] != want || row[25] != want || !slices.Equal(row[len(row)-3:], []string{"1.500", "", ""}) || row[0] != "2026-11-23T12:00:30Z" || row[19] != "1.5" || row[20] != "1.500" {
			t.Errorf("row %d: %q", i, row)
		}
	}
	if tail := rows[0][len(rows[0])-4:]; !slices.Equal(tail, []string{"cost_unknown", "queue_p99.9_ms", "first_byte_p99.9_ms", "duration_p99.9_ms"}) {
		t.Errorf("header ends with %q", tail)
	}
	if rows[0][19] != "cost" || rows[0][20] != "avg_queue_ms" || len(rows[0]) != len(rows[1]) {
		t.Errorf("header %q", rows[0])
	}
}

func TestFormatNano_IsExactAndShortest(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 1: "0.000000001", 1_500_000_000: "1.5", -1: "-0.000000001", -2_500_000_000: "-2.5", 12_000_000_000: "12",
		9223372036854775807: "9223372036.854775807", -9223372036854775808: "-9223372036.854775808"} {
		if got := FormatNano(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
