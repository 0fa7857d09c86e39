package adminapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
)

// auditEntry 是 GET /audit 的一条。
type auditEntry struct {
	ID        int64                `json:"id"`
	At        time.Time            `json:"at"`
	Actor     string               `json:"actor"`
	ActorKind identity.Kind        `json:"actor_kind"`
	Address   string               `json:"address"`
	RequestID string               `json:"request_id"`
	Action    string               `json:"action"`
	Object    string               `json:"object"`
	Note      string               `json:"note"`
	Changes   []catalog.ChangeItem `json:"changes"`
	Revision  uint64               `json:"revision,omitempty"`
}

type auditPage struct {
	Items      []auditEntry `json:"items"`
	NextCursor *string      `json:"next_cursor"`
}

// ListAudit 实现 GET /audit。游标是上一页最后的编号；多取一条，才知道后面还有没有。
func (a *api) ListAudit(c echo.Context, p openapi.ListAuditParams) error {
	if err := only(c, "actor", "action", "object", "address", "from", "to", "cursor", "limit"); err != nil {
		return err
	}
	q, err := auditQuery(p)
	if err != nil {
		return err
	}
	limit := q.Limit
	q.Limit++
	entries, err := a.deps.Identity.Audit(c.Request().Context(), q)
	if err != nil {
		return err
	}
	page := auditPage{Items: []auditEntry{}}
	for _, e := range entries[:min(limit, len(entries))] {
		page.Items = append(page.Items, auditEntry{ID: e.ID, At: e.At, Actor: e.Actor, ActorKind: e.Kind, Address: e.Address, RequestID: e.RequestID,
			Action: e.Action, Object: e.Object, Note: e.Note, Changes: orEmpty(e.Changes), Revision: e.Revision})
	}
	if len(entries) > limit {
		next := strconv.FormatInt(entries[limit-1].ID, 10)
		page.NextCursor = &next
	}
	return writeJSON(c, http.StatusOK, page)
}

func auditQuery(p openapi.ListAuditParams) (identity.Query, error) {
	q := identity.Query{Actor: deref(p.Actor), Action: deref(p.Action), Object: deref(p.Object), Address: deref(p.Address), Limit: defaultPage}
	if p.From != nil {
		q.Since = *p.From
	}
	if p.To != nil {
		q.Until = *p.To
	}
	if p.Limit != nil {
		q.Limit = *p.Limit
	}
	if q.Limit < 1 || q.Limit > maxPage {
		return q, badParam("limit", "must be between 1 and "+strconv.Itoa(maxPage))
	}
	if cursor := deref(p.Cursor); cursor != "" {
		before, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil || before < 1 {
			return q, badParam("cursor", "is not a next_cursor of this list")
		}
		q.Before = before
	}
	return q, nil
}
