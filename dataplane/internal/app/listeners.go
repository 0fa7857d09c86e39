package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/dataplane/internal/httpapi"
)

// listeners 是两个监听；served 是 api 之上可能再加一层 TLS。
type listeners struct {
	api    *httpapi.Limit
	served net.Listener
	ops    net.Listener
}

func listen(cfg Config, log *zap.Logger) (*listeners, error) {
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
	if cfg.GRPCInsecure {
		log.Warn("gRPC to the control plane is plaintext by VEGA_GRPC_INSECURE: upstream credentials cross the network unencrypted")
	}
	return l, nil
}

func (l *listeners) close() {
	l.api.Close()
	l.ops.Close()
}

// serveOps 在后台提供运维监听。
func serveOps(l net.Listener, h http.Handler, log *zap.Logger) *http.Server {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(log.Named("ops"))}
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("ops listener ended", zap.Error(err))
		}
	}()
	return s
}

// tracerOf 在追踪关着时返回 nil：路上一处比较就省下全部代价。
func tracerOf(p trace.TracerProvider) trace.Tracer {
	if _, off := p.(noop.TracerProvider); off {
		return nil
	}
	return p.Tracer("vega/gateway")
}
