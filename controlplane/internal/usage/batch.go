package usage

import (
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/usage/seeded"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// Batch 是校验过的一批：First..Last 的连续记录，Gap 可以顶替一段。
type Batch struct {
	NodeID      string
	Epoch       uint64
	First, Last uint64
	Records     []*usagev1.Record
	// Cumulative 是节点自报的、到 Last 为止的累计；没有则为 nil。
	Cumulative *Totals
	Clock      Clock
	// Volatile 说节点的这个 epoch 不在磁盘上：其中每个请求都算 unjournalled。
	Volatile bool
}

// Cursor 是一个节点的一个 epoch 走到了哪里；零值是还没有。
type Cursor struct {
	HighWater uint64
	Totals    Totals
	// Mismatch 是节点自报的累计减去 Totals；一致则为零值。
	Mismatch Totals
}

// Kind 是一批的下场。
type Kind uint8

const (
	// Applied：计入了，HighWater 是新的游标。
	Applied Kind = iota + 1
	// Duplicate：全部早已计入。
	Duplicate
	// Resend：中间缺了一段，要节点从 HighWater+1 重送。
	Resend
)

// String 是指标的标签。
func (k Kind) String() string {
	switch k {
	case Applied:
		return "applied"
	case Duplicate:
		return "duplicate"
	case Resend:
		return "resend"
	default:
		return "unknown"
	}
}

// Verdict 是 Store.IngestUsage 的回答。
type Verdict struct {
	Kind      Kind
	HighWater uint64
	// Records 与 Lost 是这一次新计入的记录数与其中的洞。
	Records int64
	Lost    int64
	// Mismatch 在节点的累计新近与我们的不符、且无法以洞解释时非 nil。
	Mismatch *Totals
}

// Clock 把节点的时刻换成我们的。
type Clock struct {
	// Offset 加到节点的时刻上；不超过 2 秒的偏差不校正，为 0。
	Offset time.Duration
	// Now 是收到这一批的时刻。
	Now time.Time
}

const (
	clockTolerance = 2 * time.Second
	oldestRecord   = 400 * 24 * time.Hour
)

// NewClock 由节点自报的发送时刻量出偏差；sentUnixMS 为 0 表示不知道。
func NewClock(now time.Time, sentUnixMS int64) Clock {
	c := Clock{Now: now}
	if sentUnixMS == 0 {
		return c
	}
	if off := now.Sub(time.UnixMilli(sentUnixMS)); off.Abs() > clockTolerance && !seeded.Broken(seeded.ClockBelieved) {
		c.Offset = off
	}
	return c
}

// Instant 是校正后的 UTC 时刻，精度毫秒；落在未来或 400 天以前的归到此刻。
func (c Clock) Instant(unixMS int64) time.Time {
	t := time.UnixMilli(unixMS).Add(c.Offset)
	if t.After(c.Now.Add(clockTolerance)) || t.Before(c.Now.Add(-oldestRecord)) {
		t = c.Now
	}
	return t.UTC().Truncate(time.Millisecond)
}

// Minute 是 Instant 所在的分钟。
func (c Clock) Minute(unixMS int64) time.Time { return c.Instant(unixMS).Truncate(time.Minute) }
