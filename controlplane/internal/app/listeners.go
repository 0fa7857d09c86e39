package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// listeners 是三个监听；先全部绑上，端口被占就在别的事之前说出来。
type listeners struct {
	http, grpc, ops net.Listener
	grpcOption      grpc.ServerOption
}

func listen(cfg Config) (*listeners, error) {
	l := &listeners{}
	if err := l.bind(cfg); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *listeners) bind(cfg Config) error {
	httpTLS, err := loadTLS("VEGA_HTTP_TLS_CERT", cfg.HTTPTLSCert, cfg.HTTPTLSKey)
	if err != nil {
		return err
	}
	grpcTLS, err := loadTLS("VEGA_GRPC_TLS_CERT", cfg.GRPCTLSCert, cfg.GRPCTLSKey)
	if err != nil {
		return err
	}
	if err := requireClients(grpcTLS, cfg.GRPCTLSCA); err != nil {
		return err
	}
	for _, b := range []struct {
		variable, addr string
		into           *net.Listener
	}{{"VEGA_HTTP_ADDR", cfg.HTTPAddr, &l.http}, {"VEGA_GRPC_ADDR", cfg.GRPCAddr, &l.grpc}, {"VEGA_OPS_ADDR", cfg.OpsAddr, &l.ops}} {
		if *b.into, err = net.Listen("tcp", b.addr); err != nil {
			return fmt.Errorf("%s: %w", b.variable, err)
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
	return nil
}

func (l *listeners) close() error {
	var errs []error
	for _, one := range []net.Listener{l.http, l.grpc, l.ops} {
		if one != nil {
			errs = append(errs, one.Close())
		}
	}
	return errors.Join(errs...)
}
