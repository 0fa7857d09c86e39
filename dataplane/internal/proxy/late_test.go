package proxy

import (
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestDo_AConnectionThatComesTooLateCarriesNothing 新拨的与留着的连接都一样：过了 StartBy 一个字节也不写，上游一次也看不见。
func TestDo_AConnectionThatComesTooLateCarriesNothing(t *testing.T) {
	var seen atomic.Int64
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { seen.Add(1) }))
	defer up.Close()
	p := pool(t)
	s := server(t, up.URL)
	b := &body{b: []byte("{}")}
	late := func() {
		t.Helper()
		c := call(s, b)
		c.StartBy = time.Now().Add(-time.Millisecond)
		_, f := p.Do(t.Context(), c)
		if f == nil || f.Kind != Late || f.Sent {
			t.Fatalf("%+v", f)
		}
	}
	late()
	c := call(s, b)
	c.StartBy = time.Now().Add(time.Minute)
	a, f := p.Do(t.Context(), c)
	if f != nil {
		t.Fatal(f)
	}
	a.Close()
	late()
	if n := seen.Load(); n != 1 {
		t.Fatalf("the upstream saw %d calls, want the one in time", n)
	}
}

// TestDo_AConnectionStillDialedAtStartByIsLeftToTheNextCall 到了 StartBy 就答，不等拨完；拨成的连接下一次直接用。
func TestDo_AConnectionStillDialedAtStartByIsLeftToTheNextCall(t *testing.T) {
	var seen, dialed atomic.Int64
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	hold := make(chan struct{})
	up.Listener = &held{Listener: up.Listener, hold: hold, dialed: &dialed}
	up.StartTLS()
	defer up.Close()
	p := pool(t)
	s := server(t, up.URL)
	s.CAPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: up.Certificate().Raw}))
	s.Connect = 20 * time.Second
	b := &body{b: []byte("{}")}
	c := call(s, b)
	begin := time.Now()
	c.StartBy = begin.Add(50 * time.Millisecond)
	if _, f := p.Do(t.Context(), c); f == nil || f.Kind != Late || f.Sent || time.Since(begin) > 5*time.Second {
		t.Fatalf("%+v after %v", f, time.Since(begin))
	}
	close(hold)
	for range 2 {
		c = call(s, b)
		c.StartBy = time.Now().Add(20 * time.Second)
		a, f := p.Do(t.Context(), c)
		if f != nil {
			t.Fatal(f)
		}
		_, _ = io.Copy(io.Discard, a)
		a.Close()
	}
	if seen.Load() != 2 || dialed.Load() > 2 {
		t.Errorf("%d calls over %d connections", seen.Load(), dialed.Load())
	}
}

// held 使连接在 hold 关闭之前读不到东西。
type held struct {
	net.Listener
	hold   chan struct{}
	dialed *atomic.Int64
}

func (h *held) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	h.dialed.Add(1)
	return &heldConn{c, h.hold}, nil
}

type heldConn struct {
	net.Conn
	hold chan struct{}
}

func (c *heldConn) Read(p []byte) (int, error) {
	<-c.hold
	return c.Conn.Read(p)
}

// TestWrite_TheFirstByteIsNeverLaterThanItMayBe 连接到手之后还可能被耽搁：写的那一刻再看一次钟，只看请求的第一次写。
func TestWrite_TheFirstByteIsNeverLaterThanItMayBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		c := &countedConn{Conn: near}
		request := make([]byte, minRequest)
		m := markOf(c, false, time.Now().Add(time.Second))
		time.Sleep(999 * time.Millisecond)
		if _, err := c.Write(request); err != nil || !m.sent() {
			t.Errorf("in time: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := c.Write(request); err != nil {
			t.Errorf("the rest of a request that began in time: %v", err)
		}
		m = markOf(c, true, time.Now().Add(time.Second))
		time.Sleep(time.Second)
		if n, err := c.Write(request); n != 0 || !errors.Is(err, errLate) || m.sent() {
			t.Errorf("late: %d bytes, %v", n, err)
		}
		markOf(c, true, time.Time{})
		if _, err := c.Write(request); err != nil {
			t.Errorf("without a bound: %v", err)
		}
	})
}
