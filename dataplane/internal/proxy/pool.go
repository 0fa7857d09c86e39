package proxy

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
)

// Config 的零值可用。
type Config struct {
	MaxIdlePerHost int           // 每个上游留着的闲置连接数，0 即 512
	IdleTimeout    time.Duration // 闲置连接留多久，0 即 90 s
	BufferBytes    int           // 每个连接的读、写缓冲各多大，0 即 4 KiB
}

func (c Config) withDefaults() Config {
	if c.MaxIdlePerHost == 0 {
		c.MaxIdlePerHost = 512
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = 90 * time.Second
	}
	if c.BufferBytes == 0 {
		c.BufferBytes = 4 << 10
	}
	return c
}

type link = [sha256.Size]byte

type transports = map[link]*http.Transport

// Pool 管着到所有上游的连接。
type Pool struct {
	cfg   Config
	mu    sync.Mutex // 只在换表时拿
	table atomic.Pointer[transports]
}

// New 造一个空的池；连接在第一次用到时才建。
func New(cfg Config) *Pool {
	p := &Pool{cfg: cfg.withDefaults()}
	p.table.Store(&transports{})
	return p
}

// Retain 只留下这些服务器用着的连接参数，其余的关掉闲置连接；在途的请求照常做完。换上新配置之后调用。
func (p *Pool) Retain(servers iter.Seq[*state.Server]) {
	keep := map[link]bool{}
	for s := range servers {
		keep[s.Link] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	next := transports{}
	for l, t := range *p.table.Load() {
		if keep[l] {
			next[l] = t
		} else {
			defer t.CloseIdleConnections()
		}
	}
	p.table.Store(&next)
}

// CloseIdle 关掉所有闲置连接；进程退出前、描述符不够时用。
func (p *Pool) CloseIdle() {
	for _, t := range *p.table.Load() {
		t.CloseIdleConnections()
	}
}

func (p *Pool) transport(s *state.Server) (*http.Transport, error) {
	if t := (*p.table.Load())[s.Link]; t != nil {
		return t, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	old := *p.table.Load()
	if t := old[s.Link]; t != nil {
		return t, nil
	}
	t, err := p.build(s)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(old)
	next[s.Link] = t
	p.table.Store(&next)
	return t, nil
}

func (p *Pool) build(s *state.Server) (*http.Transport, error) {
	t := &http.Transport{
		DialContext:         p.dialer(s.Connect),
		TLSHandshakeTimeout: s.Connect,
		DisableCompression:  true,
		ForceAttemptHTTP2:   s.BaseURL.Scheme == "https",
		MaxIdleConnsPerHost: p.cfg.MaxIdlePerHost,
		IdleConnTimeout:     p.cfg.IdleTimeout,
		ReadBufferSize:      p.cfg.BufferBytes,
		WriteBufferSize:     p.cfg.BufferBytes,
	}
	if s.ProxyURL != nil {
		t.Proxy = http.ProxyURL(s.ProxyURL)
	}
	if s.CAPEM != "" {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(s.CAPEM)) {
			return nil, fmt.Errorf("server %s: no certificate in its CA file", s.Name)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return t, nil
}

func (p *Pool) dialer(timeout time.Duration) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, addr)
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			p.CloseIdle()
			conn, err = d.DialContext(ctx, network, addr)
		}
		if err != nil {
			return nil, err
		}
		return &countedConn{Conn: conn}, nil
	}
}
