package oidc

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const requestTimeout = 10 * time.Second

// Config 说是哪个提供方；除 Label、Secret、Scopes、NameClaim 外都必填。
type Config struct {
	// Issuer 是提供方的 URL，发现文档在它之下。
	Issuer, ClientID string
	// Secret 为空即公开客户端，只靠 PKCE。
	Secret catalog.Secret
	// RedirectURL 是回调的绝对地址。
	RedirectURL string
	// Label 是登录页上的名字；空为 "OIDC"。
	Label string
	// Scopes 空为 openid profile email。
	Scopes []string
	// NameClaim 是用户名的声明；空为 preferred_username，没有再取 email。
	NameClaim string
	Roles     Mapping
}

// Provider 是一个提供方。
type Provider struct {
	cfg    Config
	client *http.Client
	now    func() time.Time

	// found 头一次用到时才取，提供方起得比我们晚也行；fetching 让同时要的人共用一次。
	found    atomic.Pointer[oidc.Provider]
	fetching singleflight.Group
}

// New 造一个 Provider，不发请求。now 为 nil 取 time.Now。
func New(cfg Config, now func() time.Time) (*Provider, error) {
	if cfg.Issuer == "" || cfg.ClientID == "" || cfg.RedirectURL == "" || cfg.Roles.Claim == "" {
		return nil, errors.New("oidc: issuer, client id, redirect URL and role claim must be set")
	}
	if cfg.Label == "" {
		cfg.Label = "OIDC"
	}
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = []string{oidc.ScopeOpenID, "profile", "email"}
	}
	if now == nil {
		now = time.Now
	}
	// 自己的 Transport：关得掉空闲连接，也不与别处共用。
	return &Provider{cfg: cfg, client: &http.Client{Timeout: requestTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}, now: now}, nil
}

// Label 是登录页上的名字。
func (p *Provider) Label() string { return p.cfg.Label }

// discover 给出发现文档；还没有就等着取，ctx 只管等多久：发起的人走了，别的人照样等得到。
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	if found := p.found.Load(); found != nil {
		return found, nil
	}
	fetched := p.fetching.DoChan("", func() (any, error) { return nil, p.fetch(context.WithoutCancel(ctx)) })
	select {
	case r := <-fetched:
		if r.Err != nil {
			return nil, unavailable(r.Err)
		}
		return p.found.Load(), nil
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
}

// fetch 取发现文档，成了就留着；至多 requestTimeout，由 client 管着。
func (p *Provider) fetch(ctx context.Context) error {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.cfg.Issuer)
	if err != nil {
		return err
	}
	p.found.Store(found)
	return nil
}

func (p *Provider) oauth(found *oidc.Provider) oauth2.Config {
	return oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: p.cfg.Secret.Reveal(), Endpoint: found.Endpoint(), RedirectURL: p.cfg.RedirectURL, Scopes: p.cfg.Scopes}
}

// Begin 给出要去的地址，与浏览器要留着的 Flow。
func (p *Provider) Begin(ctx context.Context, returnTo string) (string, Flow, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", Flow{}, err
	}
	f, oauth := newFlow(returnTo, p.now()), p.oauth(found)
	return oauth.AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), f, nil
}

// Finish 以回调带来的 state 与 code 换出人；f 是这个浏览器留着的。
func (p *Provider) Finish(ctx context.Context, f Flow, state, code string) (identity.Person, error) {
	if !f.matches(state, p.now()) || code == "" {
		return identity.Person{}, refused(errors.New("state does not match"))
	}
	found, err := p.discover(ctx)
	if err != nil {
		return identity.Person{}, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	oauth := p.oauth(found)
	tokens, err := oauth.Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return identity.Person{}, exchangeError(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := found.VerifierContext(ctx, &oidc.Config{ClientID: p.cfg.ClientID, Now: p.now}).Verify(ctx, raw)
	if err != nil {
		return identity.Person{}, refused(err)
	}
	if id.Nonce != f.Nonce {
		return identity.Person{}, refused(errors.New("nonce does not match"))
	}
	return p.person(ctx, found, oauth, tokens, id)
}

// person 读声明；ID token 里没有角色的，再问一次 userinfo（有的提供方只在那里给）。
func (p *Provider) person(ctx context.Context, found *oidc.Provider, oauth oauth2.Config, tokens *oauth2.Token, id *oidc.IDToken) (identity.Person, error) {
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return identity.Person{}, refused(err)
	}
	if lookup(claims, p.cfg.Roles.Claim) == nil && found.UserInfoEndpoint() != "" {
		info, err := found.UserInfo(ctx, oauth.TokenSource(ctx, tokens))
		if err != nil {
			return identity.Person{}, unavailable(err)
		}
		more := map[string]any{}
		if err := info.Claims(&more); err != nil || info.Subject != id.Subject {
			return identity.Person{}, refused(errors.New("userinfo is about somebody else"))
		}
		for name, v := range more {
			if _, have := claims[name]; !have {
				claims[name] = v
			}
		}
	}
	return identity.Person{Issuer: id.Issuer, Subject: id.Subject, Name: p.name(claims), Role: p.cfg.Roles.Role(claims)}, nil
}

func (p *Provider) name(claims map[string]any) string {
	names := []string{p.cfg.NameClaim}
	if p.cfg.NameClaim == "" {
		names = []string{"preferred_username", "email"}
	}
	for _, n := range names {
		if s, ok := lookup(claims, n).(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// exchangeError 分清提供方答了不行，还是没有答。
func exchangeError(err error) error {
	var answered *oauth2.RetrieveError
	if errors.As(err, &answered) && answered.Response != nil && answered.Response.StatusCode < http.StatusInternalServerError {
		return vegaerr.Wrap(errors.New("token endpoint: "+answered.ErrorCode), vegaerr.Denied, identity.ReasonOIDCRefused, "the provider did not accept this sign-in; start again")
	}
	return unavailable(err)
}

func unavailable(err error) error {
	return vegaerr.Wrap(err, vegaerr.Unavailable, identity.ReasonOIDCUnavailable, "the OpenID Connect provider does not answer; try again, or sign in with a password")
}

func refused(err error) error {
	return vegaerr.Wrap(err, vegaerr.Denied, identity.ReasonOIDCRefused, "this sign-in cannot be trusted; start again")
}
