package admission_test

import (
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// proxy 站在一个副本与数据库之间：可以掐断连接，也可以让它们没有回音。
type proxy struct {
	t       *testing.T
	url     string
	network string
	target  string

	mu    sync.Mutex
	cond  *sync.Cond
	mute  bool // 收下而不转
	shut  bool // 不再接新的
	conns map[net.Conn]struct{}
}

func newProxy(t *testing.T, database string) *proxy {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, network: "tcp", target: u.Host, conns: make(map[net.Conn]struct{})}
	if q := u.Query(); strings.HasPrefix(q.Get("host"), "/") {
		p.network, p.target = "unix", filepath.Join(q.Get("host"), ".s.PGSQL."+q.Get("port"))
	}
	u.Host, u.RawQuery = lis.Addr().String(), "sslmode=disable"
	p.url = u.String()
	p.cond = sync.NewCond(&p.mu)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := lis.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(in) })
		}
	})
	t.Cleanup(func() {
		_ = lis.Close()
		p.set(false, true)
		p.cut()
		wg.Wait()
	})
	return p
}

func (p *proxy) set(mute, shut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute, p.shut = mute, shut
	p.cond.Broadcast()
}

// cut 掐断所有连接。
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		_ = c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *proxy) serve(in net.Conn) {
	if !p.keep(in) {
		return
	}
	out, err := net.Dial(p.network, p.target)
	if err != nil || !p.keep(out) {
		_ = in.Close()
		return
	}
	var wg sync.WaitGroup
	for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
		wg.Go(func() {
			_, _ = io.Copy(gate{p, pair[0]}, pair[1])
			_, _ = pair[0].Close(), pair[1].Close()
		})
	}
	wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, in)
	delete(p.conns, out)
}

// gate 在没有回音期间不转。
type gate struct {
	p *proxy
	net.Conn
}

func (g gate) Write(b []byte) (int, error) {
	g.p.mu.Lock()
	for g.p.mute {
		g.p.cond.Wait()
	}
	g.p.mu.Unlock()
	return g.Conn.Write(b)
}
