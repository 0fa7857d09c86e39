package identity

import (
	"context"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
)

// Store 是身份眼里的存储，由 postgres.Store 实现。带 changes 的与 ChangeAccount、开关会话的，都在同一个事务里写一条审计，
// 来源取自 ctx。找不到是 vegaerr.NotFound，重名是 vegaerr.Conflict，够不着数据库是 vegaerr.Unavailable。
type Store interface {
	accounts
	sessions
	tokens
	// Charge 在每一桶里先记一笔失败；有哪一桶还要等，则都不记，给出要等的。
	Charge(ctx context.Context, buckets []Bucket) (wait time.Duration, err error)
	// Absolve 销账：忘掉 forget 那一桶，退回 refund 那一桶的一笔。
	Absolve(ctx context.Context, forget, refund Bucket) error
	// Refund 在每一桶里退回一笔，连同它带来的等待。
	Refund(ctx context.Context, buckets []Bucket) error
	// Record 单独写一条审计。
	Record(ctx context.Context, e Entry) error
	// Audit 由新到旧列出一页。
	Audit(ctx context.Context, q Query) ([]Entry, error)
	// LoggedInFrom 说 actor 三十天内从 network 登录成功过没有；network 是一个 IPv4 地址，或一个 IPv6 的网段。
	LoggedInFrom(ctx context.Context, actor, network string) (bool, error)
	// Purge 清掉过期的会话与忘得掉的失败。
	Purge(ctx context.Context, idle, forget time.Duration) error
}

type accounts interface {
	Accounts(ctx context.Context) ([]Account, error)
	Account(ctx context.Context, name string) (Account, error)
	AccountBySubject(ctx context.Context, issuer, subject string) (Account, error)
	CreateAccount(ctx context.Context, a Account, changes []catalog.ChangeItem) error
	// CreateFirstAccount 只在一个操作员也没有时建立；几个副本同时来，只有一个做成。
	CreateFirstAccount(ctx context.Context, a Account, changes []catalog.ChangeItem) (bool, error)
	// ChangeAccount 锁住全体操作员，由现在的与另外还有几个能用的管理员算出改动，做完，给出改后的。
	ChangeAccount(ctx context.Context, name string, edit func(cur Account, otherAdmins int) (Edit, error)) (Account, error)
	// RehashPassword 换散列而口令没有变。
	RehashPassword(ctx context.Context, a Account, encoded string) error
}

type sessions interface {
	// OpenSession 开会话，给出绝对期限；操作员这会儿变了（停用、换了口令）是 vegaerr.Unauthenticated。
	OpenSession(ctx context.Context, o Opening) (time.Time, error)
	FindSession(ctx context.Context, h Hash, idle, touch time.Duration) (Live, error)
	TouchSession(ctx context.Context, id string) error
	// Sessions 列出活着的；operatorID 为空即所有人的。
	Sessions(ctx context.Context, operatorID string, idle time.Duration) ([]Session, error)
	// EndSession 结束一个；operatorID 非空则只能是他的。
	EndSession(ctx context.Context, id, operatorID string) error
	// EndOtherSessions 结束一个操作员除 keep 之外的，给出几个。
	EndOtherSessions(ctx context.Context, operatorID, keep string) (int, error)
}

type tokens interface {
	AddToken(ctx context.Context, t Token, h Hash, changes []catalog.ChangeItem) error
	FindToken(ctx context.Context, h Hash) (Bearer, error)
	TouchToken(ctx context.Context, id, address string) error
	// Tokens 列出令牌；ownerID 为空即全部。
	Tokens(ctx context.Context, ownerID string) ([]Token, error)
	// DeleteToken 吊销一个；ownerID 非空则只能是他的。
	DeleteToken(ctx context.Context, id, ownerID string) error
}
