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

	"github.com/vega-gateway/vega/dataplane/internal/admit"
)

// controlplane 造到控制面的连接；造好时都还没有真的去连。
type controlplane struct {
	addrs   []string
	options []grpc.DialOption
}

func newControlplane(cfg Config) (*controlplane, error) {
	creds := insecure.NewCredentials()
	if !cfg.plaintext() {
		tlsConfig, err := cfg.grpcTLS()
		if err != nil {
			return nil, err
		}
		creds = credentials.NewTLS(tlsConfig)
	}
	return &controlplane{addrs: cfg.ControlplaneAddr, options: []grpc.DialOption{
		grpc.WithTransportCredentials(creds), grpc.WithPerRPCCredentials(joinToken{cfg.JoinToken}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true}),
	}}, nil
}

// dialAny 连任一地址：打乱次序，一个不通换下一个。
func (c *controlplane) dialAny() (*grpc.ClientConn, error) {
	return c.dial(c.addrs, 3*time.Second, 2*time.Second)
}

// dialOne 连这一个地址，连不上即说连不上：找谁是当任的授予者由 admit 自己来，退避也由它。
func (c *controlplane) dialOne(addr string) (admit.Conn, error) {
	return c.dial([]string{addr}, time.Second, time.Second)
}

func (c *controlplane) dial(addrs []string, connect, longest time.Duration) (*grpc.ClientConn, error) {
	r := manual.NewBuilderWithScheme("vega")
	var ends []resolver.Endpoint
	for _, addr := range addrs {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fmt.Errorf("control plane address %q: %w", addr, err)
		}
		ends = append(ends, resolver.Endpoint{Addresses: []resolver.Address{{Addr: addr, ServerName: host}}})
	}
	r.InitialState(resolver.State{Endpoints: ends})
	conn, err := grpc.NewClient("vega:///controlplane", append([]grpc.DialOption{
		grpc.WithResolvers(r),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"pick_first":{"shuffleAddressList":true}}]}`),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: connect,
			Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.5, MaxDelay: longest}}),
	}, c.options...)...)
	if err != nil {
		return nil, fmt.Errorf("dial the control plane: %w", err)
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
