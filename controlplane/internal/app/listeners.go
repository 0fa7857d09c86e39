package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// listeners 是三个监听；先全部绑上，端口被占就在别的事之前说出来。
type listeners struct {
	http, grpc, ops net.Listener
	grpcOption      grpc.ServerOption
}

func listen(cfg Config) (l *listeners, err error) {
	l = &listeners{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	httpTLS, err := loadTLS("VEGA_HTTP_TLS_CERT", cfg.HTTPTLSCert, cfg.HTTPTLSKey)
	if err != nil {
		return nil, err
	}
	grpcTLS, err := loadTLS("VEGA_GRPC_TLS_CERT", cfg.GRPCTLSCert, cfg.GRPCTLSKey)
	if err != nil {
		return nil, err
	}
	for _, b := range []struct {
		variable, addr string
		into           *net.Listener
	}{{"VEGA_HTTP_ADDR", cfg.HTTPAddr, &l.http}, {"VEGA_GRPC_ADDR", cfg.GRPCAddr, &l.grpc}, {"VEGA_OPS_ADDR", cfg.OpsAddr, &l.ops}} {
		if *b.into, err = net.Listen("tcp", b.addr); err != nil {
			return nil, fmt.Errorf("%s: %w", b.variable, err)
		}
	}
	if httpTLS != nil {
		httpTLS.NextProtos = []string{"h2", "http/1.1"}
		l.http = tls.NewListener(l.http, httpTLS)
	}
	l.grpcOption = grpc.EmptyServerOption{}
	if grpcTLS != nil {
		l.grpcOption = grpc.Creds(credentials.NewTLS(grpcTLS))
	}
	return l, nil
}

func (l *listeners) close() {
	for _, one := range []net.Listener{l.http, l.grpc, l.ops} {
		if one != nil {
			one.Close()
		}
	}
}

func newServer(h http.Handler, log *zap.Logger) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: zap.NewStdLog(log.Named("http"))}
}

// serve 在后台服务，供早起晚停的运维监听用。
func serve(l net.Listener, h http.Handler, log *zap.Logger) *http.Server {
	s := newServer(h, log)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("ops listener ended", zap.Error(err))
		}
	}()
	return s
}
