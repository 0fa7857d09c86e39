package adminapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
)

// prober 以一个 server 的凭证、头、CA 与代理去试它，与数据面所用的相同。
type prober struct {
	server catalog.ServerSpec
	secret catalog.Secret
}

// reply 是上游的一个应答；读不完的那部分不在 body 里，cut 说有没有。
type reply struct {
	status int
	body   []byte
	cut    bool
}

// call 发一次请求，至多读 limit 字节的应答。err 只在没有读完应答时非 nil；那时 status 不为 0 即应答头已经来了。
func (p *prober) call(ctx context.Context, method, path, body string, limit int64) (reply, error) {
	transport, err := p.transport()
	if err != nil {
		return reply{}, err
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(p.server.BaseURL, "/")+path, content)
	if err != nil {
		return reply{}, err
	}
	p.setHeaders(req.Header, body != "")
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode}
	r.body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if int64(len(r.body)) > limit {
		r.body, r.cut = r.body[:limit], true
	}
	return r, err
}

// setHeaders 的次序与数据面相同：server 自己的头在先，凭证在后。
func (p *prober) setHeaders(h http.Header, hasBody bool) {
	h.Set("Accept", "application/json")
	if hasBody {
		h.Set("Content-Type", "application/json")
	}
	for k, v := range p.server.Headers {
		h.Set(k, v)
	}
	if !p.secret.Empty() {
		h.Set("Authorization", "Bearer "+p.secret.Reveal())
	}
}

// transport 不看环境变量里的代理，与数据面一致。
func (p *prober) transport() (*http.Transport, error) {
	connect := time.Duration(p.server.Timeouts.ConnectMS) * time.Millisecond
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connect}).DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: connect,
		ForceAttemptHTTP2:   true,
		DisableKeepAlives:   true,
	}
	if p.server.CAPEM != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(p.server.CAPEM)) {
			return nil, errors.New("ca_pem holds no certificate")
		}
		t.TLSClientConfig.RootCAs = pool
	}
	if p.server.ProxyURL != "" {
		u, err := url.Parse(p.server.ProxyURL)
		if err != nil {
			return nil, errors.New("proxy_url is not a URL")
		}
		t.Proxy = http.ProxyURL(u)
	}
	return t, nil
}

// failure 是没有收到整个应答时的一句话，不含凭证。
func (p *prober) failure(err error) string {
	var ue *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &ue):
		err = ue.Err
	}
	return p.redact(err.Error())
}

// refusal 说一个不是 200 的应答；200 为空。
func refusal(code int) string {
	switch {
	case code == http.StatusOK:
		return ""
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Sprintf("the upstream refused the credential (HTTP %d)", code)
	case code >= 300 && code < 400:
		return fmt.Sprintf("the upstream redirects (HTTP %d); put the final address in base_url", code)
	}
	return fmt.Sprintf("the upstream answered HTTP %d", code)
}
