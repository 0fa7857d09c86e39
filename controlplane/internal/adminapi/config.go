package adminapi

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// changeResult 是应用与回滚的应答体；最后三栏只在 wait=true 且等成了时有。
type changeResult struct {
	Revision uint64               `json:"revision"`
	DryRun   bool                 `json:"dry_run"`
	Changes  []catalog.ChangeItem `json:"changes"`
	Keys     []newKey             `json:"keys"`
	Applied  *[]string            `json:"applied,omitempty"`
	Rejected *[]rejection         `json:"rejected,omitempty"`
	Pending  *[]string            `json:"pending,omitempty"`
}

// newKey 带着服务端生成的明文，只写这一次。
type newKey struct {
	App    string `json:"app"`
	Name   string `json:"name"`
	Secret string `json:"secret"`
}

type rejection struct {
	Node  string `json:"node"`
	Error string `json:"error"`
}

// GetConfig 实现 GET /config。
func (a *api) GetConfig(c echo.Context) error {
	cat, err := a.load(c)
	if err != nil {
		return err
	}
	setETag(c, cat.Revision)
	return writeJSON(c, http.StatusOK, cat.Export())
}

// PutConfig 实现 PUT /config。
func (a *api) PutConfig(c echo.Context, p openapi.PutConfigParams) error {
	if err := only(c, "dry_run", "prune", "wait", "note"); err != nil {
		return err
	}
	body, err := a.readDocument(c)
	if err != nil {
		return err
	}
	doc, err := catalog.Parse(body)
	if err != nil {
		return a.findTheRest(c.Request().Context(), doc, err)
	}
	var issued []catalog.IssuedKey
	match := ifMatch(p.IfMatch)
	out, err := a.commit(c, change{
		object: "config", note: p.Note, wait: p.Wait, dryRun: p.DryRun, doc: doc,
		mutate: func(cur *catalog.Catalog) (*catalog.Catalog, error) {
			if err := match.check(cur.Revision); err != nil {
				return nil, err
			}
			next, keys, err := catalog.Apply(cur, doc, catalog.ApplyOptions{Prune: isTrue(p.Prune)}, a.deps.Mint)
			issued = keys
			return next, err
		},
	})
	if err != nil {
		return err
	}
	if isTrue(p.DryRun) {
		issued = nil // 没有写下的密钥不能用，不给
	}
	return a.answerChange(c, out, isTrue(p.DryRun), issued)
}

// findTheRest 在文档读得不全对时接着查范围与引用，让一次回答列出每一处；已经报过的地方不再连带报。
// 总按不带 prune 查：读不懂的条目不该被当成要删的，又把指着它的都报一遍。
func (a *api) findTheRest(ctx context.Context, doc *catalog.Document, parsed error) error {
	if doc == nil {
		return parsed
	}
	_, err := a.deps.Store.DryRun(ctx, func(cur *catalog.Catalog) (*catalog.Catalog, error) {
		next, _, err := catalog.Apply(cur, doc, catalog.ApplyOptions{}, a.deps.Mint)
		return next, err
	})
	if vegaerr.CodeOf(err) != vegaerr.Invalid {
		return parsed
	}
	e := vegaerr.As(parsed)
	problems := slices.Clone(e.Problems)
	for _, p := range vegaerr.As(doc.Relocate(err)).Problems {
		if !slices.ContainsFunc(e.Problems, func(q vegaerr.Problem) bool { return within(p.Path, q.Path) || within(q.Path, p.Path) }) {
			problems = append(problems, p)
		}
	}
	return e.WithProblems(problems)
}

// within 说 path 是不是 outer 或在它里面。
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func (a *api) answerChange(c echo.Context, out outcome, dryRun bool, issued []catalog.IssuedKey) error {
	r := changeResult{Revision: out.Revision, DryRun: dryRun, Changes: out.Changes, Keys: make([]newKey, 0, len(issued))}
	for _, k := range issued {
		r.Keys = append(r.Keys, newKey{App: k.App, Name: k.Name, Secret: k.Secret.Reveal()})
	}
	if o := out.rollout; o != nil {
		rejected := make([]rejection, 0, len(o.Rejected))
		for _, n := range o.Rejected {
			rejected = append(rejected, rejection{Node: n.Node, Error: n.Error})
		}
		applied, pending := orEmpty(o.Applied), orEmpty(o.Pending)
		r.Applied, r.Rejected, r.Pending = &applied, &rejected, &pending
	}
	setETag(c, r.Revision)
	return writeJSON(c, http.StatusOK, r)
}

// load 读现在的一版，并写下版本头。
func (a *api) load(c echo.Context) (*catalog.Catalog, error) {
	cat, err := a.deps.Store.Load(c.Request().Context())
	if err != nil {
		return nil, err
	}
	setRevision(c, cat.Revision)
	return cat, nil
}

// orEmpty 让空列表编成 [] 而不是 null。
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
