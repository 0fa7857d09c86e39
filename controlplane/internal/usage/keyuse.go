package usage

import (
	"slices"
	"strings"
	"time"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// KeyUse 是一把 key 在一批里最近一次用在何时；At 是校正过钟的 UTC，精确到一分钟。
type KeyUse struct {
	KeyID string
	At    time.Time
}

// KeyUses 给出 b 里序号大于 after 的请求所用的各把 key，按 ID 升序；取样不影响它。
func KeyUses(b Batch, after uint64) []KeyUse {
	latest := map[string]int64{}
	for _, r := range b.Records {
		q := r.GetRequest()
		if q == nil || r.GetSeq() <= after || q.GetKeyId() == "" {
			continue
		}
		if at := begun(q); at > latest[q.GetKeyId()] {
			latest[q.GetKeyId()] = at
		}
	}
	uses := make([]KeyUse, 0, len(latest))
	for id, at := range latest {
		uses = append(uses, KeyUse{KeyID: id, At: b.Clock.Minute(at)})
	}
	slices.SortFunc(uses, func(a, b KeyUse) int { return strings.Compare(a.KeyID, b.KeyID) })
	return uses
}

// begun 是请求到达的时刻，unix 毫秒；节点的钟往回拨过时以结束的时刻为准。
func begun(q *usagev1.Request) int64 { return min(q.GetStartedUnixMs(), q.GetEndedUnixMs()) }
