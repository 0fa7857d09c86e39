package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	defaultIdle     = 30 * time.Minute
	defaultLifetime = 12 * time.Hour
	purgeEvery      = 10 * time.Minute
)

// Config 是身份的设置；零值可用。
type Config struct {
	// Idle 是会话多久没有请求就作废；0 为 30 分钟。
	Idle time.Duration
	// Lifetime 是会话从登录起至多多久；0 为 12 小时。
	Lifetime time.Duration
	// Argon 是口令散列的代价；零值为 32 MiB × 3 遍。
	Argon Params
	// ParallelHashes 是同时算几个散列；0 为 2。
	ParallelHashes int
}

// Deps 除 Now 外都必填。
type Deps struct {
	Store Store
	Log   *zap.Logger
	// Now 只用来查令牌的期限写得对不对，过期与否由数据库的钟说；nil 为 time.Now。
	Now func() time.Time
}

// Service 是身份的全部；方法都可并发调用。
type Service struct {
	cfg    Config
	store  Store
	log    *zap.Logger
	hasher *Hasher
	now    func() time.Time
}

// New 造一个 Service。
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Store == nil || deps.Log == nil {
		return nil, errors.New("identity: a dependency is missing")
	}
	if cfg.Idle == 0 {
		cfg.Idle = defaultIdle
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = defaultLifetime
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	h, err := NewHasher(cfg.Argon, cfg.ParallelHashes)
	if err != nil {
		return nil, err
	}
	return &Service{cfg: cfg, store: deps.Store, log: deps.Log, hasher: h, now: deps.Now}, nil
}

// Idle 是会话的空闲期限。
func (s *Service) Idle() time.Duration { return s.cfg.Idle }

// Run 起来时与此后不时清掉过期的会话与旧的失败，直到 ctx 结束（返回 nil）。过期的本来就不认，清得迟些只是占地方。
func (s *Service) Run(ctx context.Context) error {
	t := time.NewTicker(purgeEvery)
	defer t.Stop()
	for {
		if err := s.store.Purge(ctx, s.cfg.Idle, AddressRule().Forget); err != nil && ctx.Err() == nil {
			s.log.Warn("cannot purge expired sessions", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// FirstName 是第一个操作员的名字。
const FirstName = "admin"

// NewOneTimePassword 造一个一次性口令，给 EnsureFirst。
func NewOneTimePassword() catalog.Secret { return oneTime() }

// EnsureFirst 在一个操作员也没有时，以 password 为一次性口令建立 admin；已经有人则 made 为假。
func (s *Service) EnsureFirst(ctx context.Context, password catalog.Secret) (made bool, err error) {
	if all, err := s.store.Accounts(ctx); err != nil || len(all) > 0 {
		return false, err
	}
	encoded, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return false, fmt.Errorf("hash the one-time password: %w", err)
	}
	a := Account{ID: newID(), Name: FirstName, Role: Admin, Enabled: true, PasswordHash: encoded, MustChangePassword: true}
	ctx = WithOrigin(ctx, Origin{Kind: KindSystem, Actor: string(KindSystem), Action: "operator.create"})
	return s.store.CreateFirstAccount(ctx, a, created(a))
}

// BySession 认出会话；不认识、过期、主人停用了都是 vegaerr.Unauthenticated。
func (s *Service) BySession(ctx context.Context, token string) (Principal, error) {
	if !looksLikeToken(token, "") {
		return Principal{}, noSession()
	}
	live, err := s.store.FindSession(ctx, HashOf(token), s.cfg.Idle, touchEvery(s.cfg.Idle))
	if vegaerr.CodeOf(err) == vegaerr.NotFound {
		return Principal{}, noSession()
	}
	if err != nil {
		return Principal{}, err
	}
	if live.Stale {
		if err := s.store.TouchSession(ctx, live.ID); err != nil {
			return Principal{}, err
		}
	}
	return live.principal(), nil
}

func noSession() error {
	return vegaerr.New(vegaerr.Unauthenticated, "", "the session is not known, has ended or has expired; sign in again")
}

// ByToken 认出管理令牌；不认识、过期、吊销、主人停用了都是 vegaerr.Unauthenticated。
func (s *Service) ByToken(ctx context.Context, token, address string) (Principal, error) {
	refused := vegaerr.New(vegaerr.Unauthenticated, "", "send an admin token as: Authorization: Bearer <token>")
	if !looksLikeToken(token, tokenPrefix) {
		return Principal{}, refused
	}
	b, err := s.store.FindToken(ctx, HashOf(token))
	if vegaerr.CodeOf(err) == vegaerr.NotFound {
		return Principal{}, refused
	}
	if err != nil {
		return Principal{}, err
	}
	if b.Stale {
		if err := s.store.TouchToken(ctx, b.ID, address); err != nil {
			return Principal{}, err
		}
	}
	return b.principal(), nil
}

// Record 写一条审计，给改动不在数据库里的事；来源取自 ctx。
func (s *Service) Record(ctx context.Context, note string) error {
	return s.store.Record(ctx, Entry{Origin: OriginOf(ctx), Note: note})
}

// Audit 由新到旧列出一页审计。
func (s *Service) Audit(ctx context.Context, q Query) ([]Entry, error) { return s.store.Audit(ctx, q) }
