package reconcile

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// WriteCSV 以 RFC 4180 写出各行（含表头，不含合计）；没有比的栏空着，文字栏防公式注入。
func WriteCSV(w io.Writer, r Report) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(csvHeader()); err != nil {
		return fmt.Errorf("write CSV header: %w", err)
	}
	for _, l := range r.Lines {
		if err := out.Write(csvLine(l)); err != nil {
			return fmt.Errorf("write CSV line: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}

func csvHeader() []string {
	h := []string{"day", "model", "verdict", "ours_client_requests", "ours_failed_requests"}
	for _, side := range []string{"ours", "theirs", "difference", "percent"} {
		for _, f := range metricFields() {
			h = append(h, side+"_"+string(f))
		}
	}
	return append(h, "reported_requests", "counted_requests", "partial_requests", "unknown_requests", "note")
}

func csvLine(l Line) []string {
	row := []string{l.Day.String(), usage.Inert(l.Model), string(l.Verdict), number(l.Ours.Requests), number(l.Ours.Failed)}
	for _, m := range Metrics() {
		row = append(row, Format(m, l.Ours.value(m)))
	}
	for _, m := range Metrics() {
		row = append(row, optional(m, l.Theirs.Values[m]))
	}
	for _, m := range Metrics() {
		row = append(row, optional(m, l.Difference(m)))
	}
	for _, m := range Metrics() {
		text := ""
		if p := l.Percent(m); p != nil {
			text = strconv.FormatFloat(*p, 'f', 4, 64)
		}
		row = append(row, text)
	}
	return append(row, number(l.Ours.Reported.Attempts), number(l.Ours.Counted.Attempts), number(l.Ours.Partial.Attempts),
		number(l.Ours.Unknown.Attempts), l.Note)
}

// Percent 是 Difference 占我们的百分之几；没有比或我们的是零则为 nil。
func (l Line) Percent(m Metric) *float64 {
	d := l.Difference(m)
	if d == nil || l.Ours.value(m) == 0 {
		return nil
	}
	p := float64(*d) / float64(l.Ours.value(m)) * 100
	return &p
}

// Format 写出一个数；费用写成货币单位。
func Format(m Metric, n int64) string {
	if m == Cost {
		return usage.FormatNano(n)
	}
	return number(n)
}

func optional(m Metric, n *int64) string {
	if n == nil {
		return ""
	}
	return Format(m, *n)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
