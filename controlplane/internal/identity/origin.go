package identity

import (
	"context"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
)

// Origin 说一件事由谁、从哪里、以哪个请求做的；随 context 到达存储，由改动的那个事务写进审计。
type Origin struct {
	Kind  Kind
	Actor string
	// Address 是客户端的地址，没有端口；控制面自己做的为空。
	Address   string
	RequestID string
	// Action 是做什么，形如 "server.update"；Object 是对什么，形如 "server gpu-1"，空则由改动自己说。
	Action, Object string
}

type originKey struct{}

// WithOrigin 让 ctx 带上 o。
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf 取出来源；没有带着的是控制面自己。
func OriginOf(ctx context.Context) Origin {
	if o, ok := ctx.Value(originKey{}).(Origin); ok {
		return o
	}
	return Origin{Kind: KindSystem, Actor: string(KindSystem)}
}

// On 让 ctx 里的来源指名对象。
func On(ctx context.Context, object string) context.Context {
	o := OriginOf(ctx)
	o.Object = object
	return WithOrigin(ctx, o)
}

// Entry 是审计的一条。
type Entry struct {
	// ID 越大越新，由存储给。
	ID int64
	At time.Time
	Origin
	Note string
	// Changes 是看得懂的差异，秘密只见末四位。
	Changes []catalog.ChangeItem
	// Revision 是这次写之后的配置版本；0 即没有动配置。
	Revision uint64
}

// Query 是审计的一页；各栏空即不限。
type Query struct {
	Actor, Address string
	// Action 是整个动作，或它的第一段（"server" 含 "server.update"）；Object 是对象的前缀。
	Action, Object string
	Since, Until   time.Time
	// Before 只要比它旧的；0 从最新的开始。
	Before int64
	Limit  int
}

// 只在审计里有的种类。
const (
	kindOperator catalog.Kind = "operator"
	kindToken    catalog.Kind = "token"
	kindSession  catalog.Kind = "session"
)
