package controltest

import (
	"context"
	"crypto/subtle"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// Config 的零值可用。
type Config struct {
	// JoinToken 是节点要出示的令牌；空即 DefaultJoinToken。
	JoinToken string
	// WaitFor 是 Wait 系列至多等多久；0 即 10 s。
	WaitFor time.Duration
}

// DefaultJoinToken 是没有指定时的加入令牌。
const DefaultJoinToken = "join-token-for-tests-0123456789abcdef"

// maxMessage 容得下很大的快照。
const maxMessage = 600 << 20

// Server 是假控制面。用 Start 造。
type Server struct {
	cfg  Config
	addr string

	mu      sync.Mutex
	changed chan struct{} // 每次变动都关闭并换新的
	grpc    *grpc.Server
	lis     net.Listener
	config  configSide
	usage   usageSide
}

// Start 在回环的随机端口上起一个假控制面，测试结束时停掉。
func Start(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.JoinToken == "" {
		cfg.JoinToken = DefaultJoinToken
	}
	if cfg.WaitFor <= 0 {
		cfg.WaitFor = 10 * time.Second
	}
	s := &Server{cfg: cfg, addr: "127.0.0.1:0", changed: make(chan struct{})}
	s.config.streams = make(map[*watcher]struct{})
	s.usage.ledgers = make(map[ledgerKey]*Ledger)
	s.Restart(t)
	t.Cleanup(s.Stop)
	return s
}

// Addr 是监听的 host:port；停机再起后不变。
func (s *Server) Addr() string { return s.addr }

// JoinToken 是节点要出示的令牌。
func (s *Server) JoinToken() string { return s.cfg.JoinToken }

// Stop 立即停机，全部的流断开；账还在。可以重复调用。
func (s *Server) Stop() {
	s.mu.Lock()
	g, lis := s.grpc, s.lis
	s.grpc = nil
	s.mu.Unlock()
	if g != nil {
		g.Stop()
		lis.Close() // Serve 可能还没来得及登记它
	}
}

// Restart 停机（若还开着）并在原来的地址重新监听；账与推过的快照都还在。
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	lis, err := net.Listen("tcp", s.addr)
	for tries := 0; err != nil && tries < 100; tries++ { // 别的连接可能正以这个端口为源端口
		time.Sleep(20 * time.Millisecond)
		lis, err = net.Listen("tcp", s.addr)
	}
	if err != nil {
		t.Fatalf("controltest: listen on %s: %v", s.addr, err)
	}
	g := grpc.NewServer(grpc.StreamInterceptor(s.authorize), grpc.WaitForHandlers(true), grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))
	configv1.RegisterConfigServiceServer(g, configService{Server: s})
	usagev1.RegisterUsageServiceServer(g, usageService{Server: s})
	s.mu.Lock()
	s.addr, s.grpc, s.lis = lis.Addr().String(), g, lis
	s.mu.Unlock()
	go func() { _ = g.Serve(lis) }() // Stop 使它返回
}

// Dial 造一个带着加入令牌的连接，测试结束时关掉。
func (s *Server) Dial(t testing.TB) *grpc.ClientConn {
	t.Helper()
	return s.DialWithToken(t, s.cfg.JoinToken)
}

// DialWithToken 同 Dial，令牌由测试给。
func (s *Server) DialWithToken(t testing.TB, token string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(joinToken(token)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: quickBackoff(), MinConnectTimeout: time.Second}))
	if err != nil {
		t.Fatalf("controltest: dial: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// DropStreams 断开此刻全部的流，以 Unavailable；服务还在，节点会重连。
func (s *Server) DropStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.config.streams {
		w.drop()
	}
	for _, drop := range s.usage.streams {
		drop()
	}
}

// joinToken 把令牌放进每个调用的 authorization。
type joinToken string

func (j joinToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(j)}, nil
}

func (joinToken) RequireTransportSecurity() bool { return false }

func (s *Server) authorize(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	md, _ := metadata.FromIncomingContext(ss.Context())
	want := "Bearer " + s.cfg.JoinToken
	if got := md.Get("authorization"); len(got) != 1 || subtle.ConstantTimeCompare([]byte(got[0]), []byte(want)) != 1 {
		return status.Error(codes.Unauthenticated, "join token refused")
	}
	return next(srv, ss)
}

// announce 叫醒等着的人；持锁调用。
func (s *Server) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// wait 等到 ok 为真；ok 持锁调用，不得再调用 Server 的方法。等不到就以 what 结束测试。
func (s *Server) wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(s.cfg.WaitFor)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		done, changed := ok(), s.changed
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			s.mu.Lock()
			defer s.mu.Unlock()
			t.Fatalf("controltest: waited %v in vain for %s; acks %v, nacks %v, streams %d",
				s.cfg.WaitFor, what, s.config.acks, s.config.nacks, len(s.config.streams))
		}
	}
}
