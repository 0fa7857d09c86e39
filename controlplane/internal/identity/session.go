package identity

import (
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
)

// Method 是会话怎样开的。
type Method string

// 登录的方式。
const (
	ByPassword Method = "password"
	ByOIDC     Method = "oidc"
)

// Session 是一个活着的会话。
type Session struct {
	ID         string
	OperatorID string
	// Operator 是主人的名字。
	Operator   string
	Method     Method
	Address    string
	UserAgent  string
	CreatedAt  time.Time
	LastSeenAt time.Time
	ExpiresAt  time.Time
}

// Opening 是要开的会话。
type Opening struct {
	ID     string
	Hash   Hash
	Method Method
	// Account 是验过口令时的操作员：版本在这会儿变了，会话就不开。
	Account            Account
	Address, UserAgent string
	// Lifetime 是从此刻起的绝对期限。
	Lifetime time.Duration
	// Replaces 是带来的旧会话，当场作废；零值没有。
	Replaces Hash
}

// Opened 是开好的会话；Token 只在这里有明文。
type Opened struct {
	Token     catalog.Secret
	Principal Principal
}

// Live 是由散列找到的会话与它主人此刻的样子。
type Live struct {
	Session
	Role               Role
	MustChangePassword bool
	// Stale 说上次记下的活动已经旧了，该再记。
	Stale bool
}

const (
	maxUserAgent = 200
)

// touchEvery 是多久才记一次活动：每个请求都写一行不值得，差的这一点从空闲期限里让。
func touchEvery(idle time.Duration) time.Duration { return min(time.Minute, idle/4) }

// clip 截短浏览器自报的名字。
func clip(text string) string {
	if len(text) > maxUserAgent {
		return text[:maxUserAgent]
	}
	return text
}
