package adminapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/explain"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// explanation 是 GET /explain 的回答。
type explanation struct {
	App       string              `json:"app"`
	Model     string              `json:"model"`
	At        time.Time           `json:"at"`
	Verdict   explain.Verdict     `json:"verdict"`
	Code      string              `json:"code"`
	Detail    string              `json:"detail"`
	Reasons   []explainedReason   `json:"reasons"`
	Budget    *budgetStatus       `json:"budget"`
	AppLimits appLimits           `json:"app_limits"`
	Tiers     []explainedTier     `json:"tiers"`
	Fallbacks []explainedFallback `json:"fallbacks"`
}

type appLimits struct {
	Limits            catalog.Limits `json:"limits"`
	InFlight          *int64         `json:"in_flight"`
	Waiting           int64          `json:"waiting"`
	Free              *int64         `json:"free"`
	RequestsAvailable *int64         `json:"requests_available"`
	TokensAvailable   *int64         `json:"tokens_available"`
}

type explainedFallback struct {
	Model   string          `json:"model"`
	Allowed bool            `json:"allowed"`
	Tiers   []explainedTier `json:"tiers"`
}

type explainedTier struct {
	Priority int64             `json:"priority"`
	Targets  []explainedTarget `json:"targets"`
}

type explainedTarget struct {
	Server        string           `json:"server"`
	UpstreamModel string           `json:"upstream_model"`
	Weight        int64            `json:"weight"`
	Share         float64          `json:"share"`
	State         string           `json:"state"`
	Detail        string           `json:"detail"`
	Reason        *explainedReason `json:"reason"`
	PausedUntil   *time.Time       `json:"paused_until,omitempty"`
	EjectedBy     []ejectedBy      `json:"ejected_by"`
	Queue         *queue           `json:"queue"`
}

type ejectedBy struct {
	Node   string    `json:"node"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}

// Explain 实现 GET /explain。
func (a *api) Explain(c echo.Context, p openapi.ExplainParams) error {
	if err := only(c, "app", "model"); err != nil {
		return err
	}
	cat, err := a.load(c)
	if err != nil {
		return err
	}
	app := cat.Apps[p.App]
	if app == nil {
		return vegaerr.New(vegaerr.NotFound, "", "app %q does not exist", p.App)
	}
	w, err := a.world(c.Request().Context(), cat, app.Name)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, explanationRow(w, app, p.Model))
}

// world 读齐要看的；没有授予者也能解释，只是不知道限额的账。
func (a *api) world(ctx context.Context, cat *catalog.Catalog, app string) (explain.World, error) {
	w := explain.World{Catalog: cat}
	var err error
	if w.Nodes, err = a.deps.Fleet.Nodes(ctx); err != nil {
		return w, err
	}
	switch queues, err := a.deps.Queues.Queues(ctx); {
	case err == nil:
		w.Queues = &queues
	case vegaerr.CodeOf(err) != vegaerr.Unavailable:
		return w, err
	}
	plans := slices.DeleteFunc(budget.Plans(cat), func(p budget.Plan) bool { return p.App != app })
	if len(plans) == 0 {
		return w, nil
	}
	statuses, err := a.deps.Budgets.Statuses(ctx, plans)
	if err == nil && len(statuses) == 1 {
		w.Budget = &statuses[0]
	}
	return w, err
}

func explanationRow(w explain.World, app *catalog.App, model string) explanation {
	x := explain.Explain(w, app, model)
	row := explanation{
		App: app.Name, Model: model, At: time.Now().UTC(), Verdict: x.Verdict, Code: x.Code, Detail: x.Detail(), Reasons: reasonRows(x.Reasons),
		AppLimits: appLimitsRow(app.Limits, x.Pools), Tiers: tierRows(x.Tiers, w.Queues), Fallbacks: []explainedFallback{},
	}
	if w.Budget != nil {
		b := budgetRow(*w.Budget)
		row.Budget = &b
	}
	for _, f := range x.Fallbacks {
		row.Fallbacks = append(row.Fallbacks, explainedFallback{Model: f.Model, Allowed: f.Allowed, Tiers: tierRows(f.Tiers, w.Queues)})
	}
	return row
}

func appLimitsRow(configured catalog.Limits, p *admission.App) appLimits {
	row := appLimits{Limits: configured}
	if p == nil {
		return row
	}
	row.Waiting = p.Waiting
	row.InFlight, row.Free = limited(p.Limits.MaxConcurrency, p.InFlight), limited(p.Limits.MaxConcurrency, p.Free)
	row.RequestsAvailable = limited(p.Limits.RequestsPerMinute, p.RequestsLevel)
	row.TokensAvailable = limited(p.Limits.TokensPerMinute, p.TokensLevel)
	return row
}

func tierRows(tiers []explain.Tier, queues *admission.Queues) []explainedTier {
	rows := make([]explainedTier, 0, len(tiers))
	for _, t := range tiers {
		row := explainedTier{Priority: t.Priority, Targets: make([]explainedTarget, 0, len(t.Targets))}
		for _, target := range t.Targets {
			row.Targets = append(row.Targets, targetRow(target, queues))
		}
		rows = append(rows, row)
	}
	return rows
}

func targetRow(t explain.Target, queues *admission.Queues) explainedTarget {
	row := explainedTarget{
		Server: t.Server, UpstreamModel: t.UpstreamModel, Weight: t.Weight, Share: t.Share, State: stateName(t.State), Detail: t.Detail(), Reason: reasonRow(t.Reason),
		EjectedBy: make([]ejectedBy, 0, len(t.EjectedBy)),
	}
	if !t.PausedUntil.IsZero() {
		until := t.PausedUntil.UTC()
		row.PausedUntil = &until
	}
	for _, e := range t.EjectedBy {
		row.EjectedBy = append(row.EjectedBy, ejectedBy{Node: e.Node, Reason: e.Reason, Until: e.Until.UTC()})
	}
	if t.Queue != nil {
		q := queueRow(*t.Queue, leader(queues.Leader))
		row.Queue = &q
	}
	return row
}

func stateName(v ruleset.Verdict) string {
	if v == ruleset.Startable {
		return "ready"
	}
	return v.String()
}
