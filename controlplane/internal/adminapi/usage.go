package adminapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// figures 的费用以原文写成 JSON 数：经过浮点会丢位。
type figures struct {
	Requests          int64       `json:"requests"`
	Attempts          int64       `json:"attempts"`
	Refused           int64       `json:"refused"`
	Errors            int64       `json:"errors"`
	ErrorsClient      int64       `json:"errors_client"`
	ErrorsUpstream    int64       `json:"errors_upstream"`
	ErrorsGateway     int64       `json:"errors_gateway"`
	ErrorsLimit       int64       `json:"errors_limit"`
	Aborted           int64       `json:"aborted"`
	AttemptErrors     int64       `json:"attempt_errors"`
	PromptTokens      int64       `json:"prompt_tokens"`
	CompletionTokens  int64       `json:"completion_tokens"`
	CachedTokens      int64       `json:"cached_tokens"`
	ReasoningTokens   int64       `json:"reasoning_tokens"`
	AttemptsWithUsage int64       `json:"attempts_with_usage"`
	Cost              json.Number `json:"cost"`
	AvgQueueMS        float64     `json:"avg_queue_ms"`
	AvgFirstByteMS    float64     `json:"avg_first_byte_ms"`
	AvgDurationMS     float64     `json:"avg_duration_ms"`
}

// usageRow 的维度只在分组时有；分了组而值为空，则写成 ""。
type usageRow struct {
	Bucket *time.Time `json:"bucket,omitempty"`
	Server *string    `json:"server,omitempty"`
	App    *string    `json:"app,omitempty"`
	Model  *string    `json:"model,omitempty"`
	figures
}

type usageReport struct {
	Rows   []usageRow `json:"rows"`
	Totals figures    `json:"totals"`
}

// GetUsage 实现 GET /usage。
func (a *api) GetUsage(c echo.Context, p openapi.GetUsageParams) error {
	if err := only(c, "from", "to", "interval", "group_by", "time_zone", "server", "app", "model"); err != nil {
		return err
	}
	q := queryOf(p)
	res, err := a.deps.Usage.Query(c.Request().Context(), q)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderVary, echo.HeaderAccept)
	if strings.Contains(c.Request().Header.Get(echo.HeaderAccept), "text/csv") {
		return writeCSV(c, res)
	}
	report := usageReport{Rows: make([]usageRow, 0, len(res.Rows)), Totals: figuresOf(res.Totals)}
	for _, r := range res.Rows {
		report.Rows = append(report.Rows, usageRowOf(r, q))
	}
	return writeJSON(c, http.StatusOK, report)
}

func queryOf(p openapi.GetUsageParams) usage.Query {
	q := usage.Query{TimeZone: deref(p.TimeZone)}
	if p.From != nil {
		q.From = *p.From
	}
	if p.To != nil {
		q.To = *p.To
	}
	if p.Interval != nil {
		q.Interval = usage.Interval(*p.Interval)
	}
	if p.GroupBy != nil {
		for _, d := range *p.GroupBy {
			q.GroupBy = append(q.GroupBy, usage.Dimension(d))
		}
	}
	for list, target := range map[*[]string]*[]string{p.Server: &q.Servers, p.App: &q.Apps, p.Model: &q.Models} {
		if list != nil {
			*target = *list
		}
	}
	return q
}

func usageRowOf(r usage.Row, q usage.Query) usageRow {
	row := usageRow{figures: figuresOf(r.Figures)}
	if !r.Bucket.IsZero() {
		row.Bucket = &r.Bucket
	}
	if slices.Contains(q.GroupBy, usage.ByServer) {
		row.Server = &r.Server
	}
	if slices.Contains(q.GroupBy, usage.ByApp) {
		row.App = &r.App
	}
	if slices.Contains(q.GroupBy, usage.ByModel) {
		row.Model = &r.Model
	}
	return row
}

func figuresOf(f usage.Figures) figures {
	return figures{
		Requests: f.Requests, Attempts: f.Attempts, Refused: f.Refused,
		Errors: f.Errors, ErrorsClient: f.ErrorsClient, ErrorsUpstream: f.ErrorsUpstream,
		ErrorsGateway: f.ErrorsGateway, ErrorsLimit: f.ErrorsLimit, Aborted: f.Aborted, AttemptErrors: f.AttemptErrors,
		PromptTokens: f.PromptTokens, CompletionTokens: f.CompletionTokens,
		CachedTokens: f.CachedTokens, ReasoningTokens: f.ReasoningTokens, AttemptsWithUsage: f.AttemptsWithUsage,
		Cost:       json.Number(usage.FormatNano(f.CostNano)),
		AvgQueueMS: f.AvgQueueMS(), AvgFirstByteMS: f.AvgFirstByteMS(), AvgDurationMS: f.AvgDurationMS(),
	}
}

// writeCSV 先写进内存：写到一半才发现的错误没法再变成状态码。
func writeCSV(c echo.Context, res usage.Result) error {
	var buf bytes.Buffer
	if err := usage.WriteCSV(&buf, res); err != nil {
		return vegaerr.Wrap(err, vegaerr.Internal, "", "internal error")
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentDisposition, `attachment; filename="usage.csv"`)
	return c.Blob(http.StatusOK, "text/csv; charset=utf-8", buf.Bytes())
}
