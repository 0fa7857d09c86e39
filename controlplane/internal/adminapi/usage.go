package adminapi

import (
	"bytes"
	"encoding/json"
	"net/http"
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
	Replayed          int64       `json:"replayed"`
	Unjournalled      int64       `json:"unjournalled"`
}

// usageRow 的维度只在分组时有；分了组而值为空，则写成 ""；前几名之外的一组没有维度，只有 other。
type usageRow struct {
	Bucket      *time.Time `json:"bucket,omitempty"`
	Server      *string    `json:"server,omitempty"`
	App         *string    `json:"app,omitempty"`
	Model       *string    `json:"model,omitempty"`
	ServedModel *string    `json:"served_model,omitempty"`
	Source      *string    `json:"source,omitempty"`
	Code        *string    `json:"code,omitempty"`
	Other       bool       `json:"other,omitempty"`
	figures
	Percentiles *latency `json:"percentiles,omitempty"`
}

type usageTotals struct {
	figures
	Percentiles *latency `json:"percentiles,omitempty"`
}

type usageReport struct {
	From     time.Time   `json:"from"`
	To       time.Time   `json:"to"`
	Rows     []usageRow  `json:"rows"`
	Totals   usageTotals `json:"totals"`
	Accuracy accuracy    `json:"accuracy"`
	Notes    []string    `json:"notes,omitempty"`
}

// GetUsage 实现 GET /usage。
func (a *api) GetUsage(c echo.Context, p openapi.GetUsageParams) error {
	if err := only(c, "from", "to", "interval", "group_by", "time_zone", "tz", "server", "app", "model", "served_model", "source", "code",
		"top", "order_by", "percentiles", "format"); err != nil {
		return err
	}
	q := usageQueryOf(p)
	q.From, q.To = dayIn(q.TimeZone, c.QueryParam("from"), q.From), dayIn(q.TimeZone, c.QueryParam("to"), q.To)
	csv, problems := usageFormat(c, p)
	if p.Tz != nil && p.TimeZone != nil && *p.Tz != *p.TimeZone {
		problems = append(problems, vegaerr.Problem{Path: "tz", Message: "differs from time_zone"})
	}
	if len(problems) > 0 {
		return vegaerr.New(vegaerr.Invalid, "", "the usage query is not valid").WithProblems(append(problems, usage.Problems(q)...))
	}
	var err error
	if q.TimeZone, err = a.zoneOr(c, q.TimeZone); err != nil {
		return err
	}
	res, err := a.deps.Usage.Query(c.Request().Context(), q)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderVary, echo.HeaderAccept)
	if csv {
		return writeCSV(c, res)
	}
	report := usageReport{
		From: res.From, To: res.To, Rows: make([]usageRow, 0, len(res.Rows)), Notes: res.Notes, Accuracy: accuracyOf(res),
		Totals: usageTotals{figuresOf(res.Totals.Figures), latencyOf(res.Totals.Latency, res.Percentiles)},
	}
	for i := range res.Rows {
		report.Rows = append(report.Rows, usageRowOf(&res.Rows[i], q, res.Percentiles))
	}
	return writeJSON(c, http.StatusOK, report)
}

// dayIn 是只写了一天（2026-11-01）的那一刻：zone 里这一天的起点；别的写法与不认得的 zone 原样是 at。
func dayIn(zone, text string, at time.Time) time.Time {
	day, err := time.Parse(time.DateOnly, text)
	loc, zoneErr := time.LoadLocation(zone)
	if err != nil || zoneErr != nil {
		return at
	}
	return time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, loc)
}

// usageFormat 说要不要 CSV：format 说了就照它，否则看 Accept。
func usageFormat(c echo.Context, p openapi.GetUsageParams) (csv bool, problems []vegaerr.Problem) {
	if p.Format == nil {
		return strings.Contains(c.Request().Header.Get(echo.HeaderAccept), "text/csv"), nil
	}
	switch *p.Format {
	case openapi.Csv:
		return true, nil
	case openapi.Json:
		return false, nil
	default:
		return false, []vegaerr.Problem{{Path: "format", Message: "must be json or csv"}}
	}
}

func usageQueryOf(p openapi.GetUsageParams) usage.Query {
	q := usage.Query{
		From: deref(p.From), To: deref(p.To), Interval: usage.Interval(deref(p.Interval)),
		TimeZone: deref(p.TimeZone), OrderBy: usage.Order(deref(p.OrderBy)),
		Servers: deref(p.Server), Apps: deref(p.App), Models: deref(p.Model), ServedModels: deref(p.ServedModel), Codes: deref(p.Code),
	}
	if q.TimeZone == "" {
		q.TimeZone = deref(p.Tz)
	}
	for _, d := range deref(p.GroupBy) {
		q.GroupBy = append(q.GroupBy, usage.Dimension(d))
	}
	for _, s := range deref(p.Source) {
		q.Sources = append(q.Sources, string(s))
	}
	for _, v := range deref(p.Percentiles) {
		q.Percentiles = append(q.Percentiles, float64(v))
	}
	if p.Top != nil {
		q.Top = *p.Top
		if q.Top == 0 {
			q.Top = -1 // 写明的 0 与没有写不同，是错的
		}
	}
	return q
}

func usageRowOf(r *usage.Row, q usage.Query, percentiles []float64) usageRow {
	row := usageRow{figures: figuresOf(r.Figures), Other: r.Other, Percentiles: latencyOf(r.Latency, percentiles)}
	if !r.Bucket.IsZero() {
		row.Bucket = &r.Bucket
	}
	if r.Other {
		return row
	}
	for d, field := range map[usage.Dimension]**string{
		usage.ByServer: &row.Server, usage.ByApp: &row.App, usage.ByModel: &row.Model,
		usage.ByServedModel: &row.ServedModel, usage.BySource: &row.Source, usage.ByCode: &row.Code} {
		if q.Groups(d) {
			*field = r.Dimension(d)
		}
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
		AvgQueueMS: rounded(f.AvgQueueMS(), msDigits), AvgFirstByteMS: rounded(f.AvgFirstByteMS(), msDigits), AvgDurationMS: rounded(f.AvgDurationMS(), msDigits),
		Replayed: f.Replayed, Unjournalled: f.Unjournalled,
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
