package adminapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// maxTrialBody 是试连的请求体的上限，字节：至多一个 server。
const maxTrialBody = 1 << 20

// probeResult 是试连的结果；连不上也是一个结果，不是 API 的错误。
type probeResult struct {
	OK        bool       `json:"ok"`
	LatencyMS float64    `json:"latency_ms"`
	Status    int        `json:"status,omitempty"`
	Models    []string   `json:"models"`
	Error     string     `json:"error,omitempty"`
	Chat      *chatProbe `json:"chat,omitempty"`
}

// TestServer 实现 POST /servers/{name}/test。
func (a *api) TestServer(c echo.Context, name string) error {
	trial, err := a.readTrial(c, name)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	p, err := a.prober(ctx, name, trial)
	if err != nil {
		return err
	}
	if err := a.deps.Identity.Record(identity.On(ctx, "server "+name), ""); err != nil {
		return err
	}
	r := p.listModels(ctx, a.cfg.ProbeTimeout)
	if trial.Model != "" {
		chat := p.chat(ctx, trial.Model, a.cfg.ChatProbeTimeout)
		r.Chat = &chat
	}
	a.logTest(c, name, trial, r)
	return writeJSON(c, http.StatusOK, r)
}

// readTrial 读可有可无的请求体：没有正文的请求不必带 Content-Type；分块的看得见第一个字节才算有。
func (a *api) readTrial(c echo.Context, name string) (catalog.Trial, error) {
	r := c.Request()
	if r.Header.Get(echo.HeaderContentType) == "" {
		if n, err := io.ReadFull(r.Body, make([]byte, 1)); n == 0 && errors.Is(err, io.EOF) {
			return catalog.Trial{}, nil
		}
	}
	body, err := a.readAs(c, echo.MIMEApplicationJSON, "send the document as JSON with: Content-Type: application/json", maxTrialBody)
	if err != nil {
		return catalog.Trial{}, err
	}
	return catalog.ParseTrial(name, body)
}

// prober 定下试的是哪一份：所存的，或草稿。草稿照写入时的规矩查过，而什么也没有写。
func (a *api) prober(ctx context.Context, name string, trial catalog.Trial) (*prober, error) {
	cat, err := a.trialCatalog(ctx, trial)
	if err != nil {
		return nil, trial.Relocate(err)
	}
	s := cat.Servers[name]
	if s == nil {
		return nil, vegaerr.New(vegaerr.NotFound, "", "server %q does not exist", name)
	}
	p := &prober{server: s.ServerSpec}
	if cred := cat.Credentials[name]; cred != nil {
		p.secret = cred.Secret
	}
	return p, nil
}

func (a *api) trialCatalog(ctx context.Context, trial catalog.Trial) (*catalog.Catalog, error) {
	if trial.Draft == nil {
		return a.deps.Store.Load(ctx)
	}
	would, err := a.deps.Store.DryRun(ctx, func(cur *catalog.Catalog) (*catalog.Catalog, error) {
		return trial.Place(cur, a.deps.Mint)
	})
	return would.Catalog, err
}

func (a *api) logTest(c echo.Context, name string, trial catalog.Trial, r probeResult) {
	fields := []zap.Field{zap.String("actor", actor(c)), zap.String("server", name), zap.Bool("draft", trial.Draft != nil), zap.Bool("ok", r.OK),
		zap.Int("upstream_status", r.Status), zap.String("error", r.Error), zap.String("request_id", requestID(c))}
	if r.Chat != nil {
		fields = append(fields, zap.String("chat_model", r.Chat.Model), zap.Bool("chat_ok", r.Chat.OK), zap.Int("chat_status", r.Chat.Status), zap.String("chat_error", r.Chat.Error))
	}
	a.deps.Log.Info("server tested", fields...)
}

func millisecondsSince(t time.Time) float64 { return float64(time.Since(t).Microseconds()) / 1000 }
