package adminapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	maxProbeBody   = 4 << 20
	maxProbeModels = 1000
)

// probeResult 是试连的结果；连不上也是一个结果，不是 API 的错误。
type probeResult struct {
	OK        bool     `json:"ok"`
	LatencyMS float64  `json:"latency_ms"`
	Status    int      `json:"status,omitempty"`
	Models    []string `json:"models"`
	Error     string   `json:"error,omitempty"`
}

// TestServer 实现 POST /servers/{name}/test。
func (a *api) TestServer(c echo.Context, name string) error {
	ctx := c.Request().Context()
	cat, err := a.deps.Store.Load(ctx)
	if err != nil {
		return err
	}
	s := cat.Servers[name]
	if s == nil {
		return vegaerr.New(vegaerr.NotFound, "", "server %q does not exist", name)
	}
	var secret catalog.Secret
	if cred := cat.Credentials[name]; cred != nil {
		secret = cred.Secret
	}
	if err := a.deps.Identity.Record(identity.On(ctx, "server "+name), ""); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, a.cfg.ProbeTimeout)
	defer cancel()
	r := probe(ctx, s.ServerSpec, secret)
	a.deps.Log.Info("server tested", zap.String("actor", actor(c)), zap.String("server", name), zap.Bool("ok", r.OK),
		zap.Int("upstream_status", r.Status), zap.String("error", r.Error), zap.String("request_id", requestID(c)))
	return writeJSON(c, http.StatusOK, r)
}

// probe 以 server 的凭证、头、CA 与代理请求 <base_url>/models。
func probe(ctx context.Context, s catalog.ServerSpec, secret catalog.Secret) probeResult {
	begin := time.Now()
	status, models, err := fetchModels(ctx, s, secret)
	r := probeResult{
		OK: err == nil, Status: status, Models: orEmpty(models),
		LatencyMS: float64(time.Since(begin).Microseconds()) / 1000,
	}
	if err != nil {
		r.Error = describeProbe(err, secret)
	}
	return r
}

func fetchModels(ctx context.Context, s catalog.ServerSpec, secret catalog.Secret) (int, []string, error) {
	transport, err := probeTransport(s)
	if err != nil {
		return 0, nil, err
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(s.BaseURL, "/")+"/models", nil)
	if err != nil {
		return 0, nil, err
	}
	if !secret.Empty() {
		req.Header.Set("Authorization", "Bearer "+secret.Reveal())
	}
	for k, v := range s.Headers {
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	if err := refusedStatus(resp.StatusCode); err != nil {
		return resp.StatusCode, nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProbeBody+1))
	if err != nil {
		return resp.StatusCode, nil, err
	}
	if len(body) > maxProbeBody {
		return resp.StatusCode, nil, errors.New("the list of models is larger than 4 MiB")
	}
	models, err := modelsIn(body)
	return resp.StatusCode, models, err
}

// probeTransport 不看环境变量里的代理，与数据面一致。
func probeTransport(s catalog.ServerSpec) (*http.Transport, error) {
	connect := time.Duration(s.Timeouts.ConnectMS) * time.Millisecond
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connect}).DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: connect,
		ForceAttemptHTTP2:   true,
		DisableKeepAlives:   true,
	}
	if s.CAPEM != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(s.CAPEM)) {
			return nil, errors.New("ca_pem holds no certificate")
		}
		t.TLSClientConfig.RootCAs = pool
	}
	if s.ProxyURL != "" {
		u, err := url.Parse(s.ProxyURL)
		if err != nil {
			return nil, errors.New("proxy_url is not a URL")
		}
		t.Proxy = http.ProxyURL(u)
	}
	return t, nil
}

func refusedStatus(code int) error {
	switch {
	case code == http.StatusOK:
		return nil
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Errorf("the upstream refused the credential (HTTP %d)", code)
	case code == http.StatusNotFound:
		return errors.New("the upstream has no /models here (HTTP 404); base_url usually ends in /v1")
	case code >= 300 && code < 400:
		return fmt.Errorf("the upstream redirects (HTTP %d); put the final address in base_url", code)
	}
	return fmt.Errorf("the upstream answered HTTP %d", code)
}

func modelsIn(body []byte) ([]string, error) {
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &list); err != nil || list.Data == nil {
		return nil, errors.New("the upstream answered, but not with an OpenAI list of models")
	}
	models := make([]string, 0, min(len(list.Data), maxProbeModels))
	for _, m := range list.Data[:min(len(list.Data), maxProbeModels)] {
		models = append(models, m.ID)
	}
	return models, nil
}

// describeProbe 给出不含凭证的一句话。
func describeProbe(err error, secret catalog.Secret) string {
	var ue *url.Error
	text := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &ue):
		text = ue.Err.Error()
	}
	if !secret.Empty() {
		text = strings.ReplaceAll(text, secret.Reveal(), "…")
	}
	return text
}
