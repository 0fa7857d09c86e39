package admission

import (
	"context"
	"time"

	"github.com/vega-gateway/vega/proto/schedule"
)

// Seat 是当任者那一行；零值是从来没有过。
type Seat struct {
	Holder  string // 空即已经交出
	Address string // 节点怎样连到它；空即不知道
	Term    uint64
	// Left 是数据库的钟离到期还有多久；不大于 0 即已过期。
	Left time.Duration
	// Expires 是那一行写着的到期时刻，数据库的钟的微秒；只用来看它变没变。
	Expires int64
}

// Claim 是一次争取。
type Claim struct {
	Holder, Address string
	TTL             time.Duration
	// AtLeast 是见过的最大任期：新的任期要大于它。
	AtLeast uint64
	// Stale 非零值时，那一行的任期与到期仍是这样就拿走，不论它说什么时候到期。
	Stale Seat
}

// Title 说一个任期归谁；成员表的每次写都要出示。
type Title struct {
	Holder string
	Term   uint64
}

// Seats 是当任者那一行，以数据库的钟比较并交换。
type Seats interface {
	ReadSeat(ctx context.Context) (Seat, error)
	// AcquireSeat 返回新的任期；还归别人则为 0。
	AcquireSeat(ctx context.Context, c Claim) (term uint64, err error)
	RenewSeat(ctx context.Context, t Title, ttl time.Duration) (held bool, err error)
	ReleaseSeat(ctx context.Context, t Title) error
}

// Members 是成员表；写在任期之内才算数，held 为假即任期已经归了别人，什么也没有写。
type Members interface {
	LoadMembers(ctx context.Context) ([]schedule.Member, error)
	SaveMembers(ctx context.Context, t Title, members []schedule.Member) (held bool, err error)
	DeleteMembers(ctx context.Context, t Title, nodes []string) (held bool, err error)
	// TouchMembers 记下 connected（不可为 nil）都还听得见。
	TouchMembers(ctx context.Context, t Title, connected []string) (Touched, error)
}

// Touched 是记下听得见谁的结果；名字都升序。
type Touched struct {
	Held      bool     // 任期还在；不在则什么也没有记
	Missing   []string // 听得见而没有行的
	Forgotten []string // 运维要忘掉而没有连着的
}

// Store 是准入的两张表。
type Store interface {
	Seats
	Members
}
