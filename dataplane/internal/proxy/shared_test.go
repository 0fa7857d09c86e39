package proxy

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
	"time"
)

func TestGotConn_DoesNotWaitForAnotherStreamsStuckWriteOverHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	raw, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	counted := &countedConn{Conn: raw}
	conn := tls.Client(counted, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	counted.mu.Lock() // 另一条流的写卡在 TCP 上
	defer counted.mu.Unlock()
	var a Answer
	done := make(chan struct{})
	go func() { defer close(done); a.gotConn(httptrace.GotConnInfo{Conn: conn, Reused: true}) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("a call hangs beyond its own deadlines behind another one's write")
	}
	if !a.multi {
		t.Fatal("not recognised as HTTP/2")
	}
}
