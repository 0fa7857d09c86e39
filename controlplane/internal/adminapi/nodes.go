package adminapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/push"
)

// node 是 GET /nodes 的一行。
type node struct {
	ID               string          `json:"id"`
	Version          string          `json:"version"`
	Connected        bool            `json:"connected"`
	Draining         bool            `json:"draining"`
	Replica          string          `json:"replica,omitempty"`
	AppliedRevision  uint64          `json:"applied_revision"`
	RejectedRevision uint64          `json:"rejected_revision,omitempty"`
	ConnectedAt      *time.Time      `json:"connected_at,omitempty"`
	LastSeen         time.Time       `json:"last_seen"`
	InFlight         int64           `json:"in_flight"`
	Waiting          int64           `json:"waiting"`
	Unreported       int64           `json:"unreported"`
	LastError        string          `json:"last_error"`
	Ejections        []push.Ejection `json:"ejections"`
	Journal          *push.Journal   `json:"journal,omitempty"`
}

// ListNodes 实现 GET /nodes。
func (a *api) ListNodes(c echo.Context) error {
	nodes, err := a.deps.Fleet.Nodes(c.Request().Context())
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, nodeRows(nodes))
}

func nodeRows(nodes []push.Node) []node {
	rows := make([]node, 0, len(nodes))
	for _, n := range nodes {
		rows = append(rows, nodeRow(n))
	}
	return rows
}

func nodeRow(n push.Node) node {
	row := node{
		ID: n.ID, Version: n.Version, Connected: n.Connected, Draining: n.Draining, Replica: n.Replica,
		AppliedRevision: n.AppliedRevision, RejectedRevision: n.RejectedRevision, LastSeen: n.LastSeen.UTC(),
		InFlight: n.InFlight, Waiting: n.Waiting, Unreported: n.Unreported, LastError: n.LastError,
		Ejections: orEmpty(n.Ejections), Journal: n.Journal,
	}
	if !n.ConnectedAt.IsZero() {
		at := n.ConnectedAt.UTC()
		row.ConnectedAt = &at
	}
	return row
}

// ForgetNode 实现 DELETE /nodes/{id}。
func (a *api) ForgetNode(c echo.Context, id string) error {
	if err := a.deps.Fleet.Forget(c.Request().Context(), id); err != nil {
		return err
	}
	a.logNode(c, id, "forgotten")
	return c.NoContent(http.StatusNoContent)
}

// DrainNode 实现 POST /nodes/{id}/drain。
func (a *api) DrainNode(c echo.Context, id string) error {
	if err := a.deps.Fleet.Drain(c.Request().Context(), id); err != nil {
		return err
	}
	a.logNode(c, id, "asked to drain")
	return c.NoContent(http.StatusAccepted)
}

func (a *api) logNode(c echo.Context, id, what string) {
	a.deps.Log.Info("admin write", zap.String("actor", actor(c)), zap.String("method", c.Request().Method),
		zap.String("object", "node "+id), zap.String("changes", what), zap.String("request_id", requestID(c)))
}
