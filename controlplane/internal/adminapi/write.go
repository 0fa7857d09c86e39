package adminapi

import (
	"fmt"
	"strconv"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/push"
)

const (
	headerRevision = "x-vega-revision"
	headerRollout  = "x-vega-rollout"
)

// change 是一次写：谁都以同样的步骤提交、记一行、等节点、写头。
type change struct {
	// object 是日志里的对象，例如 "server gpu-1"、"config"。
	object string
	note   *string
	wait   *bool
	dryRun *bool
	// doc 让错误的路径指进调用者的文档；没有文档则 nil。
	doc *catalog.Document
	// mutate 算出下一版。
	mutate mutate
}

// outcome 是写的结果；rollout 只在 wait 且等成了时有。
type outcome struct {
	catalog.Applied
	rollout *push.Outcome
}

func isTrue(b *bool) bool { return b != nil && *b }

// commit 做完一次写，并写好应答的头。
func (a *api) commit(c echo.Context, w change) (outcome, error) {
	ctx := identity.On(c.Request().Context(), w.object)
	var out outcome
	var err error
	if isTrue(w.dryRun) {
		out.Applied, err = a.deps.Store.DryRun(ctx, w.mutate)
	} else {
		out.Applied, err = a.deps.Store.Change(ctx, actor(c), deref(w.note), w.mutate)
	}
	if err != nil {
		return outcome{}, w.relocate(err)
	}
	setRevision(c, out.Revision)
	if isTrue(w.dryRun) {
		return out, nil
	}
	a.logWrite(c, w, out)
	if isTrue(w.wait) {
		out.rollout = a.waitApplied(c, out.Revision)
	}
	return out, nil
}

func (w change) relocate(err error) error {
	if w.doc == nil {
		return err
	}
	return w.doc.Relocate(err)
}

func (a *api) logWrite(c echo.Context, w change, out outcome) {
	summary := "no change"
	if out.Changed {
		summary = catalog.Summarise(out.Changes)
	}
	a.deps.Log.Info("admin write",
		zap.String("actor", actor(c)), zap.String("method", c.Request().Method), zap.String("object", w.object),
		zap.String("changes", summary), zap.String("note", deref(w.note)),
		zap.Uint64("revision", out.Revision), zap.String("request_id", requestID(c)))
}

// waitApplied 等节点。写已经提交，所以等不成也不是这次写的错误：只是没有名单。
func (a *api) waitApplied(c echo.Context, revision uint64) *push.Outcome {
	out, err := a.deps.Fleet.WaitApplied(c.Request().Context(), revision, a.cfg.WaitTimeout)
	if err != nil {
		a.deps.Log.Warn("cannot tell which nodes applied the revision", zap.Uint64("revision", revision),
			zap.String("request_id", requestID(c)), zap.Error(err))
		c.Response().Header().Set(headerRollout, "unknown")
		return nil
	}
	c.Response().Header().Set(headerRollout,
		fmt.Sprintf("applied=%d, rejected=%d, pending=%d", len(out.Applied), len(out.Rejected), len(out.Pending)))
	return &out
}

func setRevision(c echo.Context, revision uint64) {
	c.Response().Header().Set(headerRevision, strconv.FormatUint(revision, 10))
}

func setETag(c echo.Context, version uint64) { c.Response().Header().Set("ETag", etag(version)) }

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
