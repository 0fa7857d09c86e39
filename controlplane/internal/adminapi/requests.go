package adminapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// Requests 回答逐条请求的查询，由 usage.RequestReader 实现。
type Requests interface {
	// Requests 给出一页，由新到旧；limit 为 0 是缺省。
	Requests(ctx context.Context, f usage.RequestFilter, cursor string, limit int) (usage.RequestPage, error)
	// Request 按请求号给出一条；没有为 vegaerr.NotFound。
	Request(ctx context.Context, id string) (usage.Request, error)
}

type requestPage struct {
	Items         []request  `json:"items"`
	NextCursor    *string    `json:"next_cursor"`
	SearchedUntil *time.Time `json:"searched_until"`
}

// tokens 的各栏可缺席，写成 null：缺席不是零。
type tokens struct {
	PromptTokens     *int64 `json:"prompt_tokens"`
	CompletionTokens *int64 `json:"completion_tokens"`
	CachedTokens     *int64 `json:"cached_tokens"`
	ReasoningTokens  *int64 `json:"reasoning_tokens"`
}

type request struct {
	ID              string    `json:"id"`
	ClientRequestID string    `json:"client_request_id"`
	KeyID           string    `json:"key_id"`
	KeyName         *string   `json:"key_name"`
	App             string    `json:"app"`
	Model           string    `json:"model"`
	ServedModel     string    `json:"served_model"`
	Server          string    `json:"server"`
	Endpoint        string    `json:"endpoint"`
	Outcome         string    `json:"outcome"`
	Status          *int      `json:"status"`
	Stream          bool      `json:"stream"`
	Source          string    `json:"source"`
	StartedAt       time.Time `json:"started_at"`
	EndedAt         time.Time `json:"ended_at"`
	QueueMS         float64   `json:"queue_ms"`
	FirstByteMS     *float64  `json:"first_byte_ms"`
	DurationMS      float64   `json:"duration_ms"`
	tokens
	Cost         json.Number `json:"cost"`
	Revision     uint64      `json:"revision"`
	Node         string      `json:"node"`
	Replayed     bool        `json:"replayed"`
	Unjournalled bool        `json:"unjournalled"`
	Attempts     []attempt   `json:"attempts"`
}

type attempt struct {
	Number        int     `json:"number"`
	Server        string  `json:"server"`
	UpstreamModel string  `json:"upstream_model"`
	ServedModel   string  `json:"served_model"`
	Outcome       string  `json:"outcome"`
	Status        *int    `json:"status"`
	DurationMS    float64 `json:"duration_ms"`
	Source        string  `json:"source"`
	tokens
	Cost json.Number `json:"cost"`
}

// ListRequests 实现 GET /requests。
func (a *api) ListRequests(c echo.Context, p openapi.ListRequestsParams) error {
	if err := only(c, "from", "to", "app", "key", "model", "server", "outcome", "status", "source", "stream", "min_duration_ms", "id", "q", "limit", "cursor"); err != nil {
		return err
	}
	f, err := requestFilter(p)
	if err != nil {
		return err
	}
	if p.Limit != nil && *p.Limit == 0 {
		return badParam("limit", "must be between 1 and 200")
	}
	found, err := a.deps.Requests.Requests(c.Request().Context(), f, deref(p.Cursor), deref(p.Limit))
	if err != nil {
		return err
	}
	page := requestPage{Items: make([]request, 0, len(found.Items)), NextCursor: present(found.NextCursor), SearchedUntil: present(found.SearchedUntil)}
	for _, r := range found.Items {
		page.Items = append(page.Items, requestOf(r))
	}
	return writeJSON(c, http.StatusOK, page)
}

// GetRequest 实现 GET /requests/{id}。
func (a *api) GetRequest(c echo.Context, id string) error {
	r, err := a.deps.Requests.Request(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, requestOf(r))
}

func requestFilter(p openapi.ListRequestsParams) (usage.RequestFilter, error) {
	f := usage.RequestFilter{
		From: deref(p.From), To: deref(p.To), ID: deref(p.Id), Text: deref(p.Q), Stream: p.Stream,
		Apps: deref(p.App), Keys: deref(p.Key), Models: deref(p.Model), Servers: deref(p.Server), Statuses: deref(p.Status),
	}
	// 先于换算查：大到溢出的毫秒数会变成别的数。
	if ms := deref(p.MinDurationMs); ms < 0 || ms > int64(1000*time.Hour/time.Millisecond) {
		return f, badParam("min_duration_ms", "must be between 0 and 3600000000")
	}
	f.MinDuration = time.Duration(deref(p.MinDurationMs)) * time.Millisecond
	var err error
	if f.Outcomes, err = usage.ParseOutcomes(texts(deref(p.Outcome))); err != nil {
		return f, err
	}
	f.Sources, err = usage.ParseSources(texts(deref(p.Source)))
	return f, err
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

func requestOf(r usage.Request) request {
	out := request{
		ID: r.ID, ClientRequestID: r.ClientRequestID, KeyID: r.KeyID, KeyName: present(r.KeyName), App: r.App,
		Model: r.Model, ServedModel: r.ServedModel, Server: r.Server, Endpoint: r.Endpoint,
		Outcome: usage.OutcomeName(r.Outcome), Status: present(r.Status), Stream: r.Stream, Source: usage.SourceName(r.Source),
		StartedAt: r.StartedAt, EndedAt: r.EndedAt,
		QueueMS: millis(r.QueueUS), FirstByteMS: present(millis(r.FirstByteUS)), DurationMS: millis(r.DurationUS),
		tokens: tokensOf(r.Tokens), Cost: json.Number(usage.FormatNano(r.CostNano)), Revision: r.Revision, Node: r.NodeID,
		Replayed: r.Replayed, Unjournalled: r.Unjournalled, Attempts: make([]attempt, 0, len(r.Attempts)),
	}
	for _, t := range r.Attempts {
		out.Attempts = append(out.Attempts, attempt{
			Number: t.Number, Server: t.Server, UpstreamModel: t.UpstreamModel, ServedModel: t.ServedModel,
			Outcome: usage.OutcomeName(t.Outcome), Status: present(t.Status), DurationMS: millis(t.DurationUS), Source: usage.SourceName(t.Source),
			tokens: tokensOf(t.Tokens), Cost: json.Number(usage.FormatNano(t.CostNano)),
		})
	}
	return out
}

func tokensOf(t usage.Tokens) tokens {
	return tokens{PromptTokens: t.Prompt, CompletionTokens: t.Completion, CachedTokens: t.Cached, ReasoningTokens: t.Reasoning}
}

func millis(us int64) float64 { return float64(us) / 1000 }

// present 把零值写成 null。
func present[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
