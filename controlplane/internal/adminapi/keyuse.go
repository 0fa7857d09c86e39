package adminapi

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// KeyUse 知道各把 key 最近一次用在何时，由 postgres.Store 实现。
type KeyUse interface {
	// KeysUsed 只含用过的，精确到一分钟；ids 是 key 的 ID。
	KeysUsed(ctx context.Context, ids []string) (map[string]time.Time, error)
}

// fillUse 给 lists 里的每把 key 填上最近一次用在何时。
func (a *api) fillUse(c echo.Context, lists ...[]catalog.KeyView) error {
	var ids []string
	for _, keys := range lists {
		for _, k := range keys {
			ids = append(ids, k.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	used, err := a.deps.Store.KeysUsed(c.Request().Context(), ids)
	if err != nil {
		return err
	}
	for _, keys := range lists {
		for i, k := range keys {
			if at, ok := used[k.ID]; ok {
				keys[i].LastUsedAt = &at
			}
		}
	}
	return nil
}

// fillWritten 填刚写下的：写已经提交，明文只有这一次应答里有，所以查不到最近使用不是这次写的错误，只是没有这一栏。
func (a *api) fillWritten(c echo.Context, keys []catalog.KeyView) {
	if err := a.fillUse(c, keys); err != nil {
		a.deps.Log.Warn("cannot tell when the keys were last used", zap.String("request_id", requestID(c)), zap.Error(err))
	}
}

// writtenView 是刚写下的一把 key；它在刚写下的一版里，因此总是有。
func (a *api) writtenView(c echo.Context, cat *catalog.Catalog, app, name string) (catalog.KeyView, error) {
	v, ok := cat.KeyView(app, name)
	if !ok {
		return v, vegaerr.New(vegaerr.Internal, "", "internal error")
	}
	one := []catalog.KeyView{v}
	a.fillWritten(c, one)
	return one[0], nil
}

func (a *api) listApps(c echo.Context) error {
	cat, err := a.load(c)
	if err != nil {
		return err
	}
	apps := cat.AppViews()
	keys := make([][]catalog.KeyView, 0, len(apps))
	for _, app := range apps {
		keys = append(keys, app.Keys)
	}
	if err := a.fillUse(c, keys...); err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, apps)
}
