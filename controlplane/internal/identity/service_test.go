package identity

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// purger 只会清理，头一次不成。
type purger struct {
	Store
	calls        int
	idle, forget time.Duration
}

func (p *purger) Purge(_ context.Context, idle, forget time.Duration) error {
	p.calls, p.idle, p.forget = p.calls+1, idle, forget
	if p.calls == 1 {
		return errors.New("the database does not answer")
	}
	return nil
}

func TestService_PurgesAtOnceAndNowAndThenAndSurvivesAnAbsentDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &purger{}
		s, err := New(Config{Idle: time.Hour, Argon: cheap()}, Deps{Store: p, Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		time.Sleep(3*purgeEvery + time.Second)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if p.calls != 4 || p.idle != time.Hour || p.forget < AccountRule().Forget {
			t.Errorf("got %+v", p)
		}
	})
}

func TestNew_RefusesMissingDependencies(t *testing.T) {
	if _, err := New(Config{}, Deps{}); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("got %v", err)
	}
}

func FuzzTransport(f *testing.F) {
	f.Add("https, http", "198.51.100.1, 10.1.2.3", "vega.example.com", "10.0.0.1:1")
	f.Add("", "[::1]:2,,x", "[::1]:9080", "127.0.0.1:9")
	proxies, err := ParseProxies("10.0.0.0/8")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, proto, client, host, remote string) {
		h := http.Header{"X-Forwarded-Proto": {proto}, "X-Forwarded-For": {client}}
		got := proxies.Transport(&http.Request{RemoteAddr: remote, Host: host, Header: h}, false)
		if !strings.HasPrefix(remote, "10.") && (got.Secure || got.Address != parseAddr(remote)) {
			t.Errorf("a stranger's word counted: %+v", got)
		}
		if (proto != "" || client != "") && got.Loopback {
			t.Errorf("a forwarded request counts as local: %+v", got)
		}
	})
}

func FuzzParseHash(f *testing.F) {
	f.Add(cheap().hash("correct horse battery"))
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=1$AAAA$AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseHash(text); err == nil && (len(s.sum) != hashBytes || s.MemoryKiB == 0 || s.Passes == 0) {
			t.Errorf("%q became %+v", text, s)
		}
	})
}
