package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// slowIssuer 是一个发现文档一直不来的提供方，直到 release；asked 每被问一次来一个。
type slowIssuer struct {
	*httptest.Server
	asked   chan struct{}
	release chan struct{}
	broken  atomic.Bool
}

func newSlowIssuer(t *testing.T) *slowIssuer {
	t.Helper()
	s := &slowIssuer{asked: make(chan struct{}, 100), release: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked <- struct{}{}
		select {
		case <-s.release:
		case <-r.Context().Done():
			return
		}
		if s.broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q,"jwks_uri":%q}`, s.URL, s.URL+"/auth", s.URL+"/token", s.URL+"/keys")
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *slowIssuer) provider(t *testing.T) *Provider {
	t.Helper()
	p, err := New(Config{Issuer: s.URL, ClientID: "vega", RedirectURL: "http://localhost/callback", Roles: Mapping{Claim: "roles"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func begin(ctx context.Context, p *Provider) <-chan error {
	out := make(chan error, 1)
	go func() {
		_, _, err := p.Begin(ctx, "/")
		out <- err
	}()
	return out
}

func soon(t *testing.T, what string, c <-chan error) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-time.After(5 * time.Second):
		t.Fatalf("%s is still waiting", what)
		return nil
	}
}

func TestDiscover_WhoGivesUpLeavesAtOnceAndTheFetchServesTheRest(t *testing.T) {
	s := newSlowIssuer(t)
	p := s.provider(t)
	ctx, cancel := context.WithCancel(t.Context())
	impatient := begin(ctx, p) // 由它发起
	<-s.asked
	patient, late := begin(t.Context(), p), begin(ctx, p)
	cancel()
	for _, gone := range []<-chan error{impatient, late} {
		if err := soon(t, "one who gave up", gone); !errors.Is(err, context.Canceled) || vegaerr.CodeOf(err) != vegaerr.Unavailable {
			t.Errorf("%v", err)
		}
	}
	close(s.release)
	if err := soon(t, "one who stayed", patient); err != nil {
		t.Error(err)
	}
	if err := soon(t, "one who came later", begin(t.Context(), p)); err != nil || len(s.asked) != 0 {
		t.Errorf("%v, asked %d times more", err, len(s.asked))
	}
}

func TestDiscover_AFailureIsNotKept(t *testing.T) {
	s := newSlowIssuer(t)
	close(s.release)
	p := s.provider(t)
	s.broken.Store(true)
	if err := soon(t, "the first", begin(t.Context(), p)); vegaerr.CodeOf(err) != vegaerr.Unavailable {
		t.Errorf("%v", err)
	}
	s.broken.Store(false)
	if err := soon(t, "the second", begin(t.Context(), p)); err != nil {
		t.Error(err)
	}
}
