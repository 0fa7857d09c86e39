package identity

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Client 是登录的那一头。
type Client struct {
	Address   netip.Addr
	UserAgent string
	// Replaces 是带来的旧会话的明文，可空；登录成功它就作废。
	Replaces string
}

// 审计里的动作；登录的几件事不由路由说，因为一个路由有几种结果。
const (
	actionOpen    = "session.open"
	actionRefused = "session.refuse"
)

// Login 以口令登录。错误：口令不对、不认得的账号、停用了的账号都是 invalid_login（vegaerr.Unauthenticated），答得一样；
// 试得太多是 login_throttled（vegaerr.Exhausted，带重试间隔）。
func (s *Service) Login(ctx context.Context, name string, password catalog.Secret, c Client) (Opened, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	account, from, err := s.charge(ctx, name, c)
	if err != nil {
		return Opened{}, err
	}
	a, err := s.verify(ctx, name, password)
	if err != nil {
		s.refund(ctx, err, account, from)
		s.refuse(ctx, name, ByPassword, err)
		return Opened{}, err
	}
	opened, err := s.open(ctx, a, ByPassword, c)
	if err != nil {
		s.refund(ctx, err, account, from)
		return Opened{}, err
	}
	s.absolve(ctx, account, from)
	return opened, nil
}

// charge 先记一笔：验完才记，同时来的一百个请求就都验得成。
func (s *Service) charge(ctx context.Context, name string, c Client) (account, from Bucket, err error) {
	at := network(c.Address)
	known, err := s.store.LoggedInFrom(ctx, name, at)
	if err != nil {
		return account, from, err
	}
	if !known {
		at = ""
	}
	account, from = accountBucket(name, at), addressBucket(c.Address)
	wait, err := s.store.Charge(ctx, []Bucket{account, from})
	if err == nil && wait > 0 {
		err = vegaerr.New(vegaerr.Exhausted, ReasonThrottled, "too many failed sign-ins; try again in a while").WithRetryAfter(wait)
	}
	return account, from, err
}

// absolve 销账不成只是下次多等一会儿，登录已经成了。
func (s *Service) absolve(ctx context.Context, account, from Bucket) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	if err := s.store.Absolve(ctx, account, from); err != nil {
		s.log.Warn("cannot clear failed sign-ins", zap.Error(err))
	}
}

// refund 退回没有验成的那一笔：数据库走开了、等着登录的人太多、人先走了，都不是猜错。口令不对的不退，哪怕人已经走了。
func (s *Service) refund(ctx context.Context, cause error, buckets ...Bucket) {
	if vegaerr.CodeOf(cause) == vegaerr.Unauthenticated {
		return
	}
	ctx, cancel := afterwards(ctx)
	defer cancel()
	if err := s.store.Refund(ctx, buckets); err != nil {
		s.log.Warn("cannot give back a sign-in that was not checked", zap.Error(err))
	}
}

// verify 找到操作员并验口令；两步都做完才说不对。
func (s *Service) verify(ctx context.Context, name string, password catalog.Secret) (Account, error) {
	a, err := s.store.Account(ctx, name)
	if err != nil && vegaerr.CodeOf(err) != vegaerr.NotFound {
		return Account{}, err
	}
	ok, weak, err := s.hasher.Verify(ctx, a.PasswordHash, password)
	if err != nil {
		return Account{}, err
	}
	if !ok || !a.Enabled {
		return Account{}, vegaerr.New(vegaerr.Unauthenticated, ReasonInvalidLogin, "the name or the password is not right")
	}
	if weak {
		s.rehash(ctx, a, password)
	}
	return a, nil
}

// rehash 把以旧参数算的散列换掉；换不成下次再换。
func (s *Service) rehash(ctx context.Context, a Account, password catalog.Secret) {
	encoded, err := s.hasher.Hash(ctx, password)
	if err == nil {
		err = s.store.RehashPassword(ctx, a, encoded)
	}
	if err != nil {
		s.log.Warn("cannot strengthen a stored password", zap.String("operator", a.Name), zap.Error(err))
	}
}

// afterwards 给登录之后非做不可的事：客户端走了也做完，不然猜完就断开的人不留痕迹。
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	const patience = 2 * time.Second
	return context.WithTimeout(context.WithoutCancel(ctx), patience)
}

// refuse 记下一次失败的登录；note 是方式与缘由。输进来的名字可能是错填的口令，所以只记认得的名字的样子。
func (s *Service) refuse(ctx context.Context, name string, method Method, cause error) {
	e := vegaerr.As(cause)
	if e.Code != vegaerr.Unauthenticated && e.Code != vegaerr.Denied {
		return
	}
	ctx, cancel := afterwards(ctx)
	defer cancel()
	o := OriginOf(ctx)
	o.Action, o.Object = actionRefused, "operator "+s.shown(ctx, name)
	if err := s.store.Record(ctx, Entry{Origin: o, Note: string(method) + ": " + e.ReasonOrCode()}); err != nil {
		s.log.Warn("cannot audit a refused sign-in", zap.Error(err))
	}
}

func (s *Service) shown(ctx context.Context, name string) string {
	if _, err := s.store.Account(ctx, name); err != nil {
		return "[unknown]"
	}
	return name
}

// open 开一个新的会话。
func (s *Service) open(ctx context.Context, a Account, method Method, c Client) (Opened, error) {
	token := newToken("")
	o := Opening{
		ID: newID(), Hash: HashOf(token.Reveal()), Method: method, Account: a, Lifetime: s.cfg.Lifetime,
		Address: c.Address.String(), UserAgent: clip(c.UserAgent),
	}
	if c.Replaces != "" {
		o.Replaces = HashOf(c.Replaces)
	}
	origin := OriginOf(ctx)
	origin.Kind, origin.Actor, origin.Action, origin.Object = KindOperator, a.Name, actionOpen, "operator "+a.Name
	expires, err := s.store.OpenSession(WithOrigin(ctx, origin), o)
	if err != nil {
		return Opened{}, err
	}
	return Opened{Token: token, Principal: Principal{
		Kind: KindOperator, Name: a.Name, Role: a.Role, OperatorID: a.ID, SessionID: o.ID, ExpiresAt: expires,
		Method: method, MustChangePassword: a.MustChangePassword,
	}}, nil
}

// ChangePassword 换掉自己的口令：此前的会话全部作废，开一个新的。现在的口令不对也记一笔失败：
// 捡到会话的人不能拿它来猜口令。
func (s *Service) ChangePassword(ctx context.Context, p Principal, current, next catalog.Secret, c Client) (Opened, error) {
	if p.SessionID == "" {
		return Opened{}, vegaerr.New(vegaerr.Conflict, "", "only an operator who signed in has a password to change")
	}
	if p.Method == ByOIDC {
		return Opened{}, vegaerr.New(vegaerr.Conflict, "", "you signed in through OpenID Connect; the password is changed at the provider")
	}
	account, from, err := s.charge(ctx, p.Name, c)
	if err != nil {
		return Opened{}, err
	}
	a, err := s.verify(ctx, p.Name, current)
	if vegaerr.CodeOf(err) == vegaerr.Unauthenticated {
		return Opened{}, invalid("current_password", "is not right")
	}
	if err != nil {
		s.refund(ctx, err, account, from)
		return Opened{}, err
	}
	s.absolve(ctx, account, from)
	if err := checkPassword(a.Name, current, next); err != nil {
		return Opened{}, err
	}
	encoded, err := s.hasher.Hash(ctx, next)
	if err != nil {
		return Opened{}, err
	}
	a, err = s.store.ChangeAccount(ctx, a.Name, func(cur Account, _ int) (Edit, error) {
		if cur.Version != a.Version {
			return Edit{}, vegaerr.New(vegaerr.Conflict, "", "the operator was changed meanwhile; sign in again")
		}
		next := cur
		next.PasswordHash, next.MustChangePassword = encoded, false
		e := revised(cur, next)
		e.EndSessions = true
		return e, nil
	})
	if err != nil {
		return Opened{}, err
	}
	return s.open(ctx, a, ByPassword, c)
}
