package adminapi

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	defaultPage = 50
	maxPage     = 200
)

type revisionPage struct {
	Items      []catalog.Revision `json:"items"`
	NextCursor *string            `json:"next_cursor"`
}

type revisionDetail struct {
	catalog.Revision
	Config *catalog.Document `json:"config"`
}

type revisionDiff struct {
	From    uint64               `json:"from"`
	To      uint64               `json:"to"`
	Changes []catalog.ChangeItem `json:"changes"`
}

// ListRevisions 实现 GET /revisions。游标就是上一页最后的版本号。
func (a *api) ListRevisions(c echo.Context, p openapi.ListRevisionsParams) error {
	if err := only(c, "cursor", "limit"); err != nil {
		return err
	}
	limit := defaultPage
	if p.Limit != nil {
		limit = *p.Limit
	}
	if limit < 1 || limit > maxPage {
		return badParam("limit", "must be between 1 and "+strconv.Itoa(maxPage))
	}
	before := uint64(0)
	if p.Cursor != nil && *p.Cursor != "" {
		n, err := strconv.ParseUint(*p.Cursor, 10, 63)
		if err != nil || n == 0 {
			return badParam("cursor", "must be the next_cursor of an earlier page")
		}
		before = n
	}
	// 多要一条，才知道后面还有没有。
	list, err := a.deps.Store.Revisions(c.Request().Context(), before, limit+1)
	if err != nil {
		return err
	}
	page := revisionPage{Items: orEmpty(list[:min(limit, len(list))])}
	if len(list) > limit {
		next := strconv.FormatUint(list[limit-1].Number, 10)
		page.NextCursor = &next
	}
	return writeJSON(c, http.StatusOK, page)
}

// GetRevision 实现 GET /revisions/{revision}。
func (a *api) GetRevision(c echo.Context, n openapi.RevisionNumber) error {
	cat, err := a.at(c, n)
	if err != nil {
		return err
	}
	if cat.Revision == 0 {
		return writeJSON(c, http.StatusOK, revisionDetail{Config: cat.Export()})
	}
	r, err := a.deps.Store.Revision(c.Request().Context(), cat.Revision)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, revisionDetail{Revision: r, Config: cat.Export()})
}

// DiffRevisions 实现 GET /revisions/{revision}/diff。
func (a *api) DiffRevisions(c echo.Context, n openapi.RevisionNumber, p openapi.DiffRevisionsParams) error {
	if err := only(c, "to"); err != nil {
		return err
	}
	from, err := a.at(c, n)
	if err != nil {
		return err
	}
	var to *catalog.Catalog
	if p.To != nil {
		to, err = a.at(c, *p.To)
	} else {
		to, err = a.deps.Store.Load(c.Request().Context())
	}
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, revisionDiff{From: from.Revision, To: to.Revision, Changes: catalog.Diff(from, to)})
}

// Rollback 实现 POST /revisions/{revision}/rollback。
func (a *api) Rollback(c echo.Context, n openapi.RevisionNumber, p openapi.RollbackParams) error {
	if err := only(c, "dry_run", "wait", "note"); err != nil {
		return err
	}
	past, err := a.at(c, n)
	if err != nil {
		return err
	}
	note := deref(p.Note)
	if note == "" {
		note = "rollback to revision " + strconv.FormatUint(past.Revision, 10)
	}
	match := ifMatch(p.IfMatch)
	out, err := a.commit(c, change{
		object: "rollback to " + strconv.FormatUint(past.Revision, 10), note: &note, wait: p.Wait, dryRun: p.DryRun,
		mutate: func(cur *catalog.Catalog) (*catalog.Catalog, error) {
			if err := match.check(cur.Revision); err != nil {
				return nil, err
			}
			return catalog.Rollback(cur, past), nil
		},
	})
	if err != nil {
		return err
	}
	return a.answerChange(c, out, isTrue(p.DryRun), nil)
}

func (a *api) at(c echo.Context, n int64) (*catalog.Catalog, error) {
	if n < 0 {
		return nil, vegaerr.New(vegaerr.NotFound, "", "revision %d does not exist", n)
	}
	return a.deps.Store.LoadAt(c.Request().Context(), uint64(n))
}
