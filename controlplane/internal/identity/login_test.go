package identity

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// register 记下每一笔失败与退回；account 是它答的操作员。
type register struct {
	Store
	account            Account
	err                error
	charged, given     []Bucket
	from               string
	knownFrom, refused bool
	onAccount          func()
}

func (r *register) LoggedInFrom(_ context.Context, _, network string) (bool, error) {
	r.from = network
	return r.knownFrom, nil
}

func (r *register) Charge(_ context.Context, b []Bucket) (time.Duration, error) {
	r.charged = append(r.charged, b...)
	return 0, nil
}

func (r *register) Refund(ctx context.Context, b []Bucket) error {
	r.given = append(r.given, b...)
	return ctx.Err()
}

func (r *register) Account(context.Context, string) (Account, error) {
	if r.onAccount != nil {
		r.onAccount()
	}
	return r.account, r.err
}

func (r *register) Record(ctx context.Context, _ Entry) error {
	r.refused = ctx.Err() == nil
	return ctx.Err()
}

func (r *register) service(t *testing.T) *Service {
	t.Helper()
	s, err := New(Config{Argon: cheap()}, Deps{Store: r, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// 没有验成的一次不是猜错：数据库走开了、等着登录的人太多，都不该让人再等。
func TestLogin_ATryThatCouldNotBeVerifiedIsGivenBack(t *testing.T) {
	from := Client{Address: netip.MustParseAddr("192.0.2.1")}
	away := &register{err: vegaerr.New(vegaerr.Unavailable, "", "the database is away")}
	if _, err := away.service(t).Login(t.Context(), "alice", catalog.NewSecret("x"), from); vegaerr.CodeOf(err) != vegaerr.Unavailable {
		t.Fatal(err)
	}
	if len(away.charged) != 2 || !slices.Equal(away.charged, away.given) || away.refused {
		t.Errorf("database away: charged %v, given back %v", away.charged, away.given)
	}
	crowded := &register{}
	s := crowded.service(t)
	s.hasher.waiting.Store(1 << 20)
	if _, err := s.Login(t.Context(), "alice", catalog.NewSecret("x"), from); vegaerr.CodeOf(err) != vegaerr.Unavailable {
		t.Fatal(err)
	}
	if !slices.Equal(crowded.charged, crowded.given) {
		t.Errorf("too many at once: charged %v, given back %v", crowded.charged, crowded.given)
	}
	wrong := &register{account: Account{Name: "alice", Enabled: true}}
	if _, err := wrong.service(t).Login(t.Context(), "alice", catalog.NewSecret("x"), from); vegaerr.CodeOf(err) != vegaerr.Unauthenticated {
		t.Fatal(err)
	}
	if len(wrong.given) != 0 || !wrong.refused {
		t.Errorf("a wrong password was given back: %v", wrong.given)
	}
}

// 等名额时走了的人也没有验成；退回的那一笔不该随他一起走。
func TestLogin_AClientThatLeftBeforeTheCheckIsNotCharged(t *testing.T) {
	r := &register{err: context.Canceled}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.service(t).Login(ctx, "alice", catalog.NewSecret("x"), Client{}); err == nil {
		t.Fatal("no error")
	}
	if !slices.Equal(r.charged, r.given) {
		t.Errorf("charged %v, given back %v", r.charged, r.given)
	}
}

// 猜完就断开的人也留下一条。
func TestLogin_AWrongGuessIsAuditedEvenIfTheClientHasLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	r := &register{account: Account{Name: "alice", Enabled: true}, onAccount: func() {
		if asked++; asked == 2 { // 头一次在验口令之前
			cancel()
		}
	}}
	if _, err := r.service(t).Login(ctx, "alice", catalog.NewSecret("x"), Client{}); vegaerr.CodeOf(err) != vegaerr.Unauthenticated {
		t.Fatal(err)
	}
	if ctx.Err() == nil || !r.refused {
		t.Errorf("the client left: %v, audited: %v", ctx.Err(), r.refused)
	}
}

func TestLogin_AHouseholdIsKnownByItsNetwork(t *testing.T) {
	for address, network := range map[string]string{"2001:db8:1:2::7": "2001:db8:1:2::/64", "::ffff:192.0.2.1": "192.0.2.1"} {
		r := &register{knownFrom: true}
		_, _ = r.service(t).Login(t.Context(), "alice", catalog.NewSecret("x"), Client{Address: netip.MustParseAddr(address)})
		if r.from != network || r.charged[0] != accountBucket("alice", network) {
			t.Errorf("%s: asked for %q, charged %v", address, r.from, r.charged)
		}
	}
}
