package nodeauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Config 是认证的设定。
type Config struct {
	// JoinToken 不可为空。
	JoinToken string
}

// Auth 造拦截器；可并发使用。
type Auth struct {
	want     [sha256.Size]byte
	failures *failureLog
}

// New 造认证；令牌为空是 vegaerr.Invalid，因为空令牌等于不设防。
func New(cfg Config, log *zap.Logger) (*Auth, error) {
	if cfg.JoinToken == "" {
		return nil, vegaerr.New(vegaerr.Invalid, "", "the join token is empty")
	}
	return &Auth{want: sha256.Sum256([]byte(cfg.JoinToken)), failures: newFailureLog(log)}, nil
}

// Unary 拦截一问一答的调用。
func (a *Auth) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if err := a.check(ctx, info.FullMethod); err != nil {
			return nil, vegaerr.GRPC(err)
		}
		return next(ctx, req)
	}
}

// Stream 拦截流；在读第一条消息之前就拒绝。
func (a *Auth) Stream() grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		if err := a.check(ss.Context(), info.FullMethod); err != nil {
			return vegaerr.GRPC(err)
		}
		return next(srv, ss)
	}
}

func (a *Auth) check(ctx context.Context, method string) error {
	token, err := bearer(ctx)
	if err == nil {
		got := sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(got[:], a.want[:]) == 1 {
			return nil
		}
		err = vegaerr.New(vegaerr.Unauthenticated, "invalid_join_token",
			"the join token does not match; give this node the control plane's VEGA_JOIN_TOKEN")
	}
	a.failures.note(method, peerAddr(ctx), err)
	return err
}

func bearer(ctx context.Context) (string, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) != 1 {
		return "", vegaerr.New(vegaerr.Unauthenticated, "missing_join_token",
			"exactly one authorization header with the join token is required; set VEGA_JOIN_TOKEN on this node")
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "bearer") || token == "" {
		return "", vegaerr.New(vegaerr.Unauthenticated, "missing_join_token", "the authorization header must be \"Bearer <join token>\"")
	}
	return token, nil
}

func peerAddr(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		return p.Addr.String()
	}
	return ""
}
