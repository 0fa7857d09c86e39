package adminapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/live"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// Live 给出总览与事件，由 app 以 live.Meter 与 live.Publisher 拼成。
type Live interface {
	Overview(ctx context.Context) (*live.Overview, error)
	Subscribe(who string, topics []live.Topic) (*live.Subscription, error)
}

type overview struct {
	At        time.Time       `json:"at"`
	Revision  uint64          `json:"revision"`
	Counts    overviewCounts  `json:"counts"`
	Rates     overviewRates   `json:"rates"`
	InFlight  int64           `json:"in_flight"`
	Waiting   int64           `json:"waiting"`
	FirstByte overviewLatency `json:"first_byte_ms"`
	Series    []overviewPoint `json:"series"`
	Top       overviewTops    `json:"top"`
	Problems  []overviewTodo  `json:"problems"`
}

type overviewCounts struct {
	Servers        int  `json:"servers"`
	ServersEnabled int  `json:"servers_enabled"`
	Models         int  `json:"models"`
	Apps           int  `json:"apps"`
	Keys           int  `json:"keys"`
	Nodes          int  `json:"nodes"`
	NodesConnected int  `json:"nodes_connected"`
	RequestsEver   bool `json:"requests_ever"`
}

type overviewRates struct {
	WindowSeconds    float64 `json:"window_seconds"`
	Requests         float64 `json:"requests"`
	Errors           float64 `json:"errors"`
	Refused          float64 `json:"refused"`
	PromptTokens     float64 `json:"prompt_tokens"`
	CompletionTokens float64 `json:"completion_tokens"`
}

type overviewLatency struct {
	P50 *float64 `json:"p50"`
	P95 *float64 `json:"p95"`
	P99 *float64 `json:"p99"`
}

type overviewPoint struct {
	At           time.Time `json:"at"`
	Requests     int64     `json:"requests"`
	Errors       int64     `json:"errors"`
	Refused      int64     `json:"refused"`
	Tokens       int64     `json:"tokens"`
	FirstByteP95 *float64  `json:"first_byte_p95_ms"`
}

type overviewTops struct {
	Apps    []overviewTop `json:"apps"`
	Servers []overviewTop `json:"servers"`
	Models  []overviewTop `json:"models"`
}

type overviewTop struct {
	Name     string      `json:"name"`
	Requests int64       `json:"requests"`
	Errors   int64       `json:"errors"`
	Tokens   int64       `json:"tokens"`
	Cost     json.Number `json:"cost"`
}

// overviewTodo 是一处不对。
type overviewTodo struct {
	Kind          live.Kind     `json:"kind"`
	Severity      live.Severity `json:"severity"`
	Detail        string        `json:"detail"`
	Node          string        `json:"node,omitempty"`
	Server        string        `json:"server,omitempty"`
	UpstreamModel string        `json:"upstream_model,omitempty"`
	App           string        `json:"app,omitempty"`
	Until         *time.Time    `json:"until,omitempty"`
	Nodes         int           `json:"nodes,omitempty"`
	Value         *float64      `json:"value,omitempty"`
}

// GetOverview 实现 GET /overview。
func (a *api) GetOverview(c echo.Context) error {
	if err := only(c); err != nil {
		return err
	}
	o, err := a.deps.Live.Overview(c.Request().Context())
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, overviewOf(o))
}

func overviewOf(o *live.Overview) overview {
	out := overview{
		At: o.At, Revision: o.Revision, Counts: overviewCounts(o.Counts), InFlight: o.InFlight, Waiting: o.Waiting,
		Rates: overviewRates{
			WindowSeconds: rounded(o.Rates.Window.Seconds(), msDigits), Requests: o.Rates.Requests, Errors: o.Rates.Errors, Refused: o.Rates.Refused,
			PromptTokens: o.Rates.PromptTokens, CompletionTokens: o.Rates.CompletionTokens,
		},
		FirstByte: overviewLatency(o.FirstByte), Series: make([]overviewPoint, 0, len(o.Series)),
		Top:      overviewTops{topOf(o.Apps), topOf(o.Servers), topOf(o.Models)},
		Problems: make([]overviewTodo, 0, len(o.Problems)),
	}
	for _, p := range o.Series {
		out.Series = append(out.Series, overviewPoint(p))
	}
	for _, p := range o.Problems {
		row := overviewTodo{Kind: p.Kind, Severity: p.Severity, Detail: p.Detail, Node: p.Node, Server: p.Server,
			UpstreamModel: p.UpstreamModel, App: p.App, Nodes: p.Nodes, Value: p.Value}
		if !p.Until.IsZero() {
			until := p.Until.UTC()
			row.Until = &until
		}
		out.Problems = append(out.Problems, row)
	}
	return out
}

func topOf(busy []live.Busy) []overviewTop {
	out := make([]overviewTop, 0, len(busy))
	for _, b := range busy {
		out = append(out, overviewTop{b.Name, b.Requests, b.Errors, b.Tokens, json.Number(usage.FormatNano(b.CostNano))})
	}
	return out
}
