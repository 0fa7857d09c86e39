package proxy

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
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
		if f == nil || f.Kind != Connect || f.Sent {
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
