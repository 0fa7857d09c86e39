package auth

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const secret = "vg-test-secret-of-at-least-thirty-two-chars"

func compiled(t *testing.T, edit func(*configv1.Snapshot)) *state.State {
	t.Helper()
	pepper := []byte("0123456789abcdef0123456789abcdef")
	mac := ruleset.KeyMAC(pepper, secret)
	snap := &configv1.Snapshot{KeyPepper: pepper, Apps: []*configv1.App{ruleset.NewApp("team")},
		Keys: []*configv1.Key{{Id: "00000000-0000-4000-8000-000000000001", App: "team", Name: "k", Mac: mac[:]}}}
	if edit != nil {
		edit(snap)
	}
	st, err := state.Compile(1, [sha256.Size]byte{}, snap)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestIdentify_FindsTheKeyInAnyOfTheThreeHeaders(t *testing.T) {
	st := compiled(t, nil)
	for name, value := range map[string]string{
		"Authorization": "Bearer " + secret, "Api-Key": secret, "X-Api-Key": " " + secret + " ",
	} {
		k, err := Identify(st, http.Header{name: {value}}, time.Now())
		if err != nil || k.App.Name != "team" {
			t.Errorf("%s: %v %v", name, k, err)
		}
	}
	if k, err := Identify(st, http.Header{"Authorization": {"bearer " + secret}, "Api-Key": {secret}}, time.Now()); err != nil || k == nil {
		t.Errorf("the same key twice: %v", err)
	}
}

func TestIdentify_RefusesAndSaysWhatToDo(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	expiring := func(at int64) func(*configv1.Snapshot) {
		return func(s *configv1.Snapshot) { s.Keys[0].ExpiresAtUnixMs = at }
	}
	good := http.Header{"Authorization": {"Bearer " + secret}}
	for name, c := range map[string]struct {
		edit   func(*configv1.Snapshot)
		header http.Header
		code   vegaerr.Code
		says   string
	}{
		"nothing":        {nil, http.Header{}, vegaerr.Unauthenticated, "Bearer"},
		"empty":          {nil, http.Header{"Authorization": {"Bearer "}}, vegaerr.Unauthenticated, "Bearer"},
		"other scheme":   {nil, http.Header{"Authorization": {"Basic eDp5"}}, vegaerr.Unauthenticated, "Bearer"},
		"unknown":        {nil, http.Header{"Api-Key": {"x"}}, vegaerr.Unauthenticated, "unknown"},
		"too long":       {nil, http.Header{"Api-Key": {strings.Repeat("x", 10_000)}}, vegaerr.Unauthenticated, "longer"},
		"two different":  {nil, http.Header{"Authorization": {"Bearer " + secret}, "X-Api-Key": {"y"}}, vegaerr.Unauthenticated, "two different"},
		"expired now":    {expiring(1_000_000), good, vegaerr.Unauthenticated, "expired"},
		"disabled app":   {func(s *configv1.Snapshot) { s.Apps[0].Enabled = false }, good, vegaerr.Denied, "disabled"},
		"valid for 1 ms": {expiring(1_000_001), good, 0, ""},
	} {
		_, err := Identify(compiled(t, c.edit), c.header, now)
		if vegaerr.CodeOf(err) != c.code || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the key is in the error", name)
		}
	}
}
