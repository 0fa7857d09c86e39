package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/reconcile"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	maxExportBytes = 16 << 20
	headerVerdict  = "x-vega-verdict"
)

// Reconcile 拿供应商的账单对照用量，由 reconcile.Reconciler 实现。
type Reconcile interface {
	Reconcile(ctx context.Context, q reconcile.Query, export []byte) (reconcile.Report, error)
}

type reconcileReport struct {
	Servers  []string          `json:"servers"`
	TimeZone string            `json:"time_zone"`
	From     string            `json:"from"`
	To       string            `json:"to"`
	Currency *string           `json:"currency"`
	Verdict  reconcile.Verdict `json:"verdict"`
	Rows     []reconcileRow    `json:"rows"`
	Totals   reconcileFigures  `json:"totals"`
	Notes    []string          `json:"notes"`
}

type reconcileRow struct {
	Day   string `json:"day"`
	Model string `json:"model"`
	reconcileFigures
	Verdict reconcile.Verdict `json:"verdict"`
	Note    string            `json:"note"`
}

type reconcileFigures struct {
	Ours       ourFigures           `json:"ours"`
	Theirs     *theirFigures        `json:"theirs"`
	Difference theirFigures         `json:"difference"`
	Percent    map[string]*float64  `json:"percent"`
	BySource   map[string]sourceSum `json:"by_source"`
}

type ourFigures struct {
	ClientRequests   int64       `json:"client_requests"`
	Requests         int64       `json:"requests"`
	FailedRequests   int64       `json:"failed_requests"`
	PromptTokens     int64       `json:"prompt_tokens"`
	CompletionTokens int64       `json:"completion_tokens"`
	CachedTokens     int64       `json:"cached_tokens"`
	Cost             json.Number `json:"cost"`
}

// theirFigures 没有给的、没有比的是 null。
type theirFigures struct {
	Requests         *int64       `json:"requests"`
	PromptTokens     *int64       `json:"prompt_tokens"`
	CompletionTokens *int64       `json:"completion_tokens"`
	CachedTokens     *int64       `json:"cached_tokens"`
	Cost             *json.Number `json:"cost"`
}

type sourceSum struct {
	Requests         int64       `json:"requests"`
	FailedRequests   int64       `json:"failed_requests"`
	PromptTokens     int64       `json:"prompt_tokens"`
	CompletionTokens int64       `json:"completion_tokens"`
	Cost             json.Number `json:"cost"`
}

// ReconcileUsage 实现 POST /usage/reconcile。
func (a *api) ReconcileUsage(c echo.Context, p openapi.ReconcileUsageParams) error {
	if err := only(c, "server", "time_zone", "from", "to", "map", "column"); err != nil {
		return err
	}
	q := reconcile.Query{Servers: deref(p.Server), TimeZone: deref(p.TimeZone), From: c.QueryParam("from"), To: c.QueryParam("to")}
	var err error
	if q.Models, err = pairs("map", deref(p.Map)); err != nil {
		return err
	}
	if q.Columns, err = columns(deref(p.Column)); err != nil {
		return err
	}
	export, err := a.readAs(c, "text/csv", "send the export as CSV with: Content-Type: text/csv", min(maxExportBytes, a.cfg.MaxBodyBytes))
	if err != nil {
		return err
	}
	report, err := a.deps.Reconcile.Reconcile(c.Request().Context(), q, export)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(headerVerdict, string(report.Verdict))
	h.Set(echo.HeaderVary, echo.HeaderAccept)
	if !strings.Contains(c.Request().Header.Get(echo.HeaderAccept), "text/csv") {
		return writeJSON(c, http.StatusOK, reconcileReportOf(report))
	}
	var buf bytes.Buffer
	if err := reconcile.WriteCSV(&buf, report); err != nil {
		return vegaerr.Wrap(err, vegaerr.Internal, "", "internal error")
	}
	h.Set(echo.HeaderContentDisposition, `attachment; filename="reconcile.csv"`)
	return c.Blob(http.StatusOK, "text/csv; charset=utf-8", buf.Bytes())
}

// pairs 读「左=右」；模型名里可以有等号，左边的到第一个为止。
func pairs(path string, list []string) (map[string]string, error) {
	out := make(map[string]string, len(list))
	for _, text := range list {
		left, right, ok := strings.Cut(text, "=")
		if !ok || left == "" || right == "" {
			return nil, badParam(path, fmt.Sprintf("%.80q must be written as NAME=NAME", text))
		}
		if _, twice := out[left]; twice {
			return nil, badParam(path, fmt.Sprintf("%.80q is named twice", left))
		}
		out[left] = right
	}
	return out, nil
}

func columns(list []string) (map[string]string, error) {
	out, err := pairs("column", list)
	if err != nil {
		return nil, err
	}
	known := reconcile.Fields()
	for name := range out {
		if !strings.Contains(" "+strings.Join(known, " ")+" ", " "+name+" ") {
			return nil, badParam("column", fmt.Sprintf("%.80q is not one of %s", name, strings.Join(known, ", ")))
		}
	}
	return out, nil
}

func reconcileReportOf(r reconcile.Report) reconcileReport {
	out := reconcileReport{
		Servers: orEmpty(r.Servers), TimeZone: r.TimeZone, From: r.From.String(), To: r.To.String(), Currency: present(r.Currency),
		Verdict: r.Verdict, Rows: make([]reconcileRow, 0, len(r.Lines)), Totals: reconcileFiguresOf(r.Totals), Notes: orEmpty(r.Notes),
	}
	for _, l := range r.Lines {
		out.Rows = append(out.Rows, reconcileRow{Day: l.Day.String(), Model: l.Model, reconcileFigures: reconcileFiguresOf(l), Verdict: l.Verdict, Note: l.Note})
	}
	return out
}

func reconcileFiguresOf(l reconcile.Line) reconcileFigures {
	o := l.Ours
	out := reconcileFigures{
		Ours: ourFigures{ClientRequests: o.Requests, Requests: o.Attempts, FailedRequests: o.Failed, PromptTokens: o.Prompt,
			CompletionTokens: o.Completion, CachedTokens: o.Cached, Cost: nano(o.CostNano)},
		Difference: theirFiguresOf(l.Difference),
		Percent:    map[string]*float64{},
		BySource: map[string]sourceSum{"reported": sourceSumOf(o.Reported), "counted": sourceSumOf(o.Counted),
			"partial": sourceSumOf(o.Partial), "unknown": sourceSumOf(o.Unknown)},
	}
	if l.Theirs.Lines > 0 {
		t := theirFiguresOf(func(m reconcile.Metric) *int64 { return l.Theirs.Values[m] })
		out.Theirs = &t
	}
	for _, m := range reconcile.Metrics() {
		p := l.Percent(m)
		if p != nil {
			*p = math.Round(*p*1e4) / 1e4
		}
		out.Percent[m.String()] = p
	}
	return out
}

func theirFiguresOf(value func(reconcile.Metric) *int64) theirFigures {
	t := theirFigures{Requests: value(reconcile.Requests), PromptTokens: value(reconcile.Prompt),
		CompletionTokens: value(reconcile.Completion), CachedTokens: value(reconcile.Cached)}
	if c := value(reconcile.Cost); c != nil {
		n := nano(*c)
		t.Cost = &n
	}
	return t
}

func sourceSumOf(s reconcile.Sum) sourceSum {
	return sourceSum{Requests: s.Attempts, FailedRequests: s.Failed, PromptTokens: s.Prompt, CompletionTokens: s.Completion, Cost: nano(s.CostNano)}
}

func nano(n int64) json.Number { return json.Number(usage.FormatNano(n)) }
