package adminapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
)

// queue 是 GET /queues 的一行。
type queue struct {
	Server            string         `json:"server"`
	Limits            catalog.Limits `json:"limits"`
	InFlight          int64          `json:"in_flight"`
	Held              int64          `json:"held"`
	Quarantined       int64          `json:"quarantined"`
	Free              *int64         `json:"free"`
	RequestsAvailable *int64         `json:"requests_available"`
	TokensAvailable   *int64         `json:"tokens_available"`
	Waiting           int64          `json:"waiting"`
	WaitingByApp      []appWaiting   `json:"waiting_by_app"`
	OldestWaitMS      *int64         `json:"oldest_wait_ms"`
	EstimatedWaitMS   *int64         `json:"estimated_wait_ms"`
	Regime            string         `json:"regime"`
	Paused            []paused       `json:"paused"`
	Leader            leader         `json:"leader"`
}

type appWaiting struct {
	App          string `json:"app"`
	Waiting      int64  `json:"waiting"`
	OldestWaitMS *int64 `json:"oldest_wait_ms"`
}

type paused struct {
	UpstreamModel string    `json:"upstream_model"`
	Until         time.Time `json:"until"`
}

type leader struct {
	Address  string `json:"address"`
	Term     uint64 `json:"term"`
	Learning bool   `json:"learning"`
}

// ListQueues 实现 GET /queues。
func (a *api) ListQueues(c echo.Context) error {
	queues, err := a.deps.Queues.Queues(c.Request().Context())
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, queueRows(queues))
}

func queueRows(queues admission.Queues) []queue {
	rows := make([]queue, 0, len(queues.Rows))
	for _, q := range queues.Rows {
		rows = append(rows, queueRow(q, leader(queues.Leader)))
	}
	return rows
}

func queueRow(q admission.Queue, l leader) queue {
	row := queue{
		Server: q.Server, Limits: catalog.Limits(q.Limits), InFlight: q.InFlight, Held: q.Held, Quarantined: q.Quarantined,
		Free:              limited(q.Limits.MaxConcurrency, q.Free),
		RequestsAvailable: limited(q.Limits.RequestsPerMinute, q.RequestsLevel),
		TokensAvailable:   limited(q.Limits.TokensPerMinute, q.TokensLevel),
		Waiting:           q.Waiting, WaitingByApp: make([]appWaiting, 0, len(q.ByApp)),
		Regime: "relaxed", Paused: make([]paused, 0, len(q.Paused)), Leader: l,
	}
	if q.Tight {
		row.Regime = "tight"
	}
	row.EstimatedWaitMS = known(q.EstimatedWait)
	if q.Waiting > 0 {
		row.OldestWaitMS = known(q.OldestWait)
	}
	for _, w := range q.ByApp {
		row.WaitingByApp = append(row.WaitingByApp, appWaiting{App: w.App, Waiting: w.Waiting, OldestWaitMS: known(w.OldestWait)})
	}
	for _, p := range q.Paused {
		row.Paused = append(row.Paused, paused{UpstreamModel: p.UpstreamModel, Until: p.Until.UTC()})
	}
	return row
}

// known 是毫秒；负即不知道。
func known(d time.Duration) *int64 {
	if d < 0 {
		return nil
	}
	ms := d.Milliseconds()
	return &ms
}

// limited 在没有限额时没有余量可言。
func limited(limit, left int64) *int64 {
	if limit == 0 {
		return nil
	}
	return &left
}
