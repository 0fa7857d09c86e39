package oidc

import (
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/identity"
)

func TestFlow_SurvivesTheCookieAndMatchesOnlyItsOwnState(t *testing.T) {
	now := time.Unix(1_800_000_000, 0).UTC()
	f := newFlow("/usage?from=x#y", now)
	back, ok := DecodeFlow(f.Encode())
	if !ok || back != f {
		t.Fatalf("%+v is not %+v", back, f)
	}
	for state, want := range map[string]bool{f.State: true, "": false, f.State + "x": false, f.Nonce: false} {
		if f.matches(state, now) != want {
			t.Errorf("state %q", state)
		}
	}
	if f.matches(f.State, now.Add(Lifetime)) || (Flow{}).matches("", now) {
		t.Error("an old or an empty flow matches")
	}
	for _, bad := range []string{"", "!", "e30", Flow{State: "a", Nonce: "b"}.Encode()} {
		if _, ok := DecodeFlow(bad); ok {
			t.Errorf("%q is a flow", bad)
		}
	}
	if other := newFlow("/", now); other.State == f.State || other.Nonce == f.Nonce || other.Verifier == f.Verifier {
		t.Error("two flows share a secret")
	}
}

func TestFlow_ReturnsOnlyToThisSite(t *testing.T) {
	for text, want := range map[string]string{
		"": "/", "/apps": "/apps", "/apps?x=1#y": "/apps?x=1#y", "https://evil.example/": "/", "//evil.example": "/", "/\\evil.example": "/",
		"javascript:alert(1)": "/", "apps": "/", "/a\nb": "/", "\thttps://evil.example": "/", "/%2F%2Fevil": "/%2F%2Fevil", "http:/x": "/",
	} {
		if got := localPath(text); got != want {
			t.Errorf("%q goes to %q, want %q", text, got, want)
		}
	}
	forged, ok := DecodeFlow(Flow{State: "a", Nonce: "b", Verifier: "c", ReturnTo: "https://evil.example"}.Encode())
	if !ok || forged.ReturnTo != "/" {
		t.Errorf("a forged cookie goes to %q", forged.ReturnTo)
	}
}

func FuzzDecodeFlow(f *testing.F) {
	f.Add(newFlow("/", time.Now()).Encode())
	f.Fuzz(func(t *testing.T, text string) {
		if flow, ok := DecodeFlow(text); ok && (flow.State == "" || flow.ReturnTo == "" || flow.ReturnTo[0] != '/') {
			t.Fatalf("%q became %+v", text, flow)
		}
	})
}

func TestMapping_TakesTheHighestRoleAClaimGives(t *testing.T) {
	m := Mapping{Claim: "realm_access.roles", Admin: []string{"root", "vega-admin"}, Operator: []string{"vega-op"}, Viewer: []string{"staff"}}
	inner := func(v any) map[string]any { return map[string]any{"realm_access": map[string]any{"roles": v}} }
	for name, c := range map[string]struct {
		claims map[string]any
		want   identity.Role
	}{
		"list":               {inner([]any{"staff", "vega-admin"}), identity.Admin},
		"text":               {inner("vega-op"), identity.Operator},
		"none":               {inner([]any{"guest"}), ""},
		"part of a name":     {inner("vega-admin-2"), ""},
		"not text":           {inner([]any{7, true, map[string]any{}}), ""},
		"no claim":           {map[string]any{}, ""},
		"whole name first":   {map[string]any{"realm_access.roles": "staff", "realm_access": map[string]any{"roles": "root"}}, identity.Viewer},
		"claim is not a map": {map[string]any{"realm_access": "root"}, ""},
	} {
		if got := m.Role(c.claims); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	m.Viewer = []string{"*"}
	if got := m.Role(map[string]any{}); got != identity.Viewer {
		t.Errorf("anybody: %q", got)
	}
}
