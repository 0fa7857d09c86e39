package httpapi

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/dataplane/internal/gateway"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Handler 走完一个请求的路；*gateway.Gateway 就是。
type Handler interface {
	Serve(w http.ResponseWriter, r *http.Request, ep *dialect.Endpoint)
}

// Config 的零值可用。
type Config struct {
	// CORSOrigins 是许可的来源，如 https://app.example.com；空或含 "*" 即任何来源。
	CORSOrigins []string
}

// Deps 都要给。
type Deps struct {
	Gateway Handler
	// NewID 给我们自己答的错误造请求号；nil 即 gateway.NewID。
	NewID func() string
}

type api struct {
	gateway Handler
	newID   func() string
}

// New 造公开监听的 http.Handler。
func New(cfg Config, deps Deps) http.Handler {
	if deps.NewID == nil {
		deps.NewID = gateway.NewID
	}
	a := &api{gateway: deps.Gateway, newID: deps.NewID}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = func(err error, c echo.Context) { a.refuse(c, err) }
	endpoints := dialect.Endpoints()
	for i := range endpoints {
		a.add(e, &endpoints[i])
	}
	e.GET("/healthz", healthy)
	return newCORS(cfg.CORSOrigins).wrap(e)
}

// add 登记一个端点；Echo 的 * 也匹配空串，那不算这个端点。
func (a *api) add(e *echo.Echo, ep *dialect.Endpoint) {
	wild := strings.HasSuffix(ep.Path, "*")
	serve := func(c echo.Context) error {
		r := c.Request()
		if wild && len(r.URL.Path) < len(ep.Path) {
			return echo.ErrNotFound
		}
		// 交出底层的 ResponseWriter：核心不认识 Echo，也省去它那一层。
		a.gateway.Serve(c.Response().Writer, r, ep)
		return nil
	}
	for _, method := range ep.Methods {
		e.Add(method, ep.Path, serve)
	}
}

func healthy(c echo.Context) error {
	return c.String(http.StatusOK, "ok\n")
}

// refuse 答路由层的错误：路径不认识、方法不对。
func (a *api) refuse(c echo.Context, err error) {
	w, r := c.Response().Writer, c.Request()
	id := a.newID()
	w.Header().Set("X-Request-Id", id)
	out := vegaerr.New(vegaerr.NotFound, "not_found", "unknown path %s; the API lives under /v1, for example POST /v1/chat/completions", r.URL.Path)
	var he *echo.HTTPError
	switch {
	case asHTTPError(err, &he) && he.Code == http.StatusMethodNotAllowed:
		out = vegaerr.New(vegaerr.Invalid, "method_not_allowed", "%s is not allowed on %s; allowed: %s", r.Method, r.URL.Path, w.Header().Get("Allow"))
	case asHTTPError(err, &he) && he.Code == http.StatusNotFound:
	default:
		out = vegaerr.Wrap(err, vegaerr.Internal, "", "internal error")
	}
	gateway.WriteError(w, out, id)
}
