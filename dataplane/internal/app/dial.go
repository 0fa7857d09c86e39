package app

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// dialControlplane 造到控制面的连接：任一地址都行，打乱次序，一个不通换下一个。造好时还没有真的去连。
func dialControlplane(cfg Config) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if !cfg.plaintext() {
		tlsConfig, err := cfg.grpcTLS()
		if err != nil {
			return nil, err
		}
		creds = credentials.NewTLS(tlsConfig)
	}
	r := manual.NewBuilderWithScheme("vega")
	var ends []resolver.Endpoint
	for _, addr := range cfg.ControlplaneAddr {
		host, _, _ := net.SplitHostPort(addr)
		ends = append(ends, resolver.Endpoint{Addresses: []resolver.Address{{Addr: addr, ServerName: host}}})
	}
	r.InitialState(resolver.State{Endpoints: ends})
	conn, err := grpc.NewClient("vega:///controlplane", grpc.WithResolvers(r), grpc.WithTransportCredentials(creds),
		grpc.WithPerRPCCredentials(joinToken{cfg.JoinToken}),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"pick_first":{"shuffleAddressList":true}}]}`),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 3 * time.Second,
			Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.5, MaxDelay: 2 * time.Second}}))
	if err != nil {
		return nil, fmt.Errorf("VEGA_CONTROLPLANE_ADDR: %w", err)
	}
	return conn, nil
}

// joinToken 把加入令牌放进每个调用；是否许可明文由 Config.plaintext 定，不在这里再问一次。
type joinToken struct{ token string }

// GetRequestMetadata 实现 credentials.PerRPCCredentials。
func (j joinToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + j.token}, nil
}

// RequireTransportSecurity 实现 credentials.PerRPCCredentials。
func (joinToken) RequireTransportSecurity() bool { return false }
