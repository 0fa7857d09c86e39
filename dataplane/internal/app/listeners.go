package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/dataplane/internal/httpapi"
)

// listeners 是两个监听；served 是 api 之上可能再加一层 TLS。
type listeners struct {
	api    *httpapi.Limit
	served net.Listener
	ops    net.Listener
}

func listen(cfg Config) (*listeners, error) {
	var pair tls.Certificate
	if cfg.HTTPTLSCert != "" {
		var err error
		if pair, err = tls.LoadX509KeyPair(cfg.HTTPTLSCert, cfg.HTTPTLSKey); err != nil {
			return nil, fmt.Errorf("VEGA_HTTP_TLS_CERT: %w", err)
		}
	}
	public, err := net.Listen("tcp", cfg.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("VEGA_HTTP_ADDR: %w", err)
	}
	opsListener, err := net.Listen("tcp", cfg.OpsAddr)
	if err != nil {
		public.Close()
		return nil, fmt.Errorf("VEGA_OPS_ADDR: %w", err)
	}
	l := &listeners{api: httpapi.NewLimit(httpapi.LimitConfig{}, public), ops: opsListener}
	l.served = l.api
	if cfg.HTTPTLSCert != "" {
		l.served = tls.NewListener(l.api, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	}
	return l, nil
}

func (l *listeners) close() {
	l.api.Close()
	l.ops.Close()
}

// serveOps 在后台提供运维监听，直到一切都停下：排空时还看得见健康与指标。
func (a *App) serveOps(h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(a.log.Named("ops"))}
	a.onClose(func() { _ = s.Close() })
	a.background.Go(func() {
		if err := served(s.Serve(a.listen.ops)); err != nil {
			a.log.Error("ops listener ended", zap.Error(err))
		}
	})
}

// served 去掉 Serve 正常结束时的那个错误。
func served(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
