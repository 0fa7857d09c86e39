package nodeauth_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/vega-gateway/vega/controlplane/internal/nodeauth"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve 起一个真的服务器；两个服务都没有实现，因此过了认证的调用是 Unimplemented。
func serve(t *testing.T, token string) (*grpc.ClientConn, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.WarnLevel)
	auth, err := nodeauth.New(nodeauth.Config{JoinToken: token}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpc.UnaryInterceptor(auth.Unary()), grpc.StreamInterceptor(auth.Stream()))
	configv1.RegisterConfigServiceServer(srv, configv1.UnimplementedConfigServiceServer{})
	grpc_health_v1.RegisterHealthServer(srv, grpc_health_v1.UnimplementedHealthServer{})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(lis) }()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); srv.Stop(); <-done })
	return conn, logs
}

func call(t *testing.T, conn *grpc.ClientConn, headers ...string) (unary, stream error) {
	t.Helper()
	ctx := t.Context()
	for _, h := range headers {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", h)
	}
	_, unary = grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	s, err := configv1.NewConfigServiceClient(conn).Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, stream = s.Recv()
	return unary, stream
}

func TestInterceptors_OnlyTheExactTokenPasses(t *testing.T) {
	const token = "join-token-of-this-test"
	conn, _ := serve(t, token)
	for _, ok := range []string{"Bearer " + token, "bearer " + token} {
		if u, s := call(t, conn, ok); status.Code(u) != codes.Unimplemented || status.Code(s) != codes.Unimplemented {
			t.Errorf("%q: %v, %v", ok, u, s)
		}
	}
	for _, bad := range [][]string{
		nil, {""}, {"Bearer"}, {"Bearer "}, {token}, {"Basic " + token}, {"Bearer " + token + "x"},
		{"Bearer " + token[:len(token)-1]}, {"Bearer  " + token}, {"Bearer " + token, "Bearer " + token},
	} {
		u, s := call(t, conn, bad...)
		if status.Code(u) != codes.Unauthenticated || status.Code(s) != codes.Unauthenticated {
			t.Errorf("%q: %v, %v", bad, u, s)
		}
		if strings.Contains(u.Error(), token) {
			t.Errorf("the token leaked: %v", u)
		}
	}
}

func TestInterceptors_FailuresAreLoggedButNotOneByOne(t *testing.T) {
	conn, logs := serve(t, "right")
	for range 50 {
		call(t, conn, "Bearer wrong-secret")
	}
	all := logs.All()
	if len(all) != 1 {
		t.Fatalf("%d lines for 100 failures", len(all))
	}
	fields := all[0].ContextMap()
	if fields["peer"] == "" || fields["method"] == "" {
		t.Fatalf("got %v", fields)
	}
	for k, v := range fields {
		if s, ok := v.(string); ok && strings.Contains(s, "wrong-secret") {
			t.Fatalf("field %s shows the token", k)
		}
	}
}

func TestNew_EmptyTokenIsRefused(t *testing.T) {
	if _, err := nodeauth.New(nodeauth.Config{}, zap.NewNop()); err == nil {
		t.Fatal("an empty token would let everybody in")
	}
}

func TestUnary_NoMetadataIsUnauthenticated(t *testing.T) {
	auth, err := nodeauth.New(nodeauth.Config{JoinToken: "x"}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	_, err = auth.Unary()(context.Background(), nil, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) {
		t.Error("the handler ran")
		return nil, nil
	})
	if status.Code(err) != codes.Unauthenticated {
		t.Fatal(err)
	}
}

func TestCheckNodeID_AcceptsHostNamesOnly(t *testing.T) {
	for _, ok := range []string{"a", "0", "node-1", "host.example-7f3a", strings.Repeat("a", 128)} {
		if err := nodeauth.CheckNodeID(ok); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, bad := range []string{"", "-", ".a", "a.", "A", "a_b", "a b", "é", "a\n", strings.Repeat("a", 129)} {
		if nodeauth.CheckNodeID(bad) == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
