package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
)

const (
	// grpcGrace 给流的主人收拾自己；httpGrace 给在途的请求（最久的是试连的 10 秒）。
	grpcGrace = 5 * time.Second
	httpGrace = 12 * time.Second
)

// newServer 给出装好时限与头部上限的 http.Server。写的时限从请求头读完算起，须大过最久的应答（wait 的 10 秒与大的用量查询）。
func newServer(h http.Handler, log *zap.Logger) *http.Server {
	var silent sync.Map // 连上而还没有说过话的：浏览器常预先连好几条，Shutdown 会为它们等上 5 秒
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, WriteTimeout: 3 * time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: zap.NewStdLog(log.Named("http")),
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateNew {
				silent.Store(c, nil)
				return
			}
			silent.Delete(c)
		},
	}
	s.RegisterOnShutdown(func() {
		silent.Range(func(c, _ any) bool {
			_ = c.(net.Conn).Close()
			return true
		})
	})
	return s
}

// serveOps 在后台服务运维监听：它最先起、最后停。
func serveOps(l net.Listener, h http.Handler, log *zap.Logger) *http.Server {
	s := newServer(h, log)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("ops listener ended", zap.Error(err))
		}
	}()
	return s
}

// runGRPC 服务到 ctx 结束；流由它们各自的主人结束，超过 grpcGrace 的强行断开。
func runGRPC(ctx context.Context, s *grpc.Server, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve gRPC: %w", err)
	case <-ctx.Done():
	}
	hard := time.AfterFunc(grpcGrace, s.Stop)
	defer hard.Stop()
	s.GracefulStop()
	return nil
}

// runHTTP 服务到 ctx 结束，再给在途的请求 httpGrace。
func runHTTP(ctx context.Context, s *http.Server, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpGrace)
	defer cancel()
	if s.Shutdown(grace) == nil {
		return nil
	}
	return s.Close()
}
