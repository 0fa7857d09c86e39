package postgres

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// maxRemembered 远多于一套安装的 key：只为不让记忆无边地长。
const maxRemembered = 100_000

// canonicalID 是 key 的 ID 唯一的写法：同一个 UUID 的两种写法不能在一条语句里写两次，不是 UUID 的不能让整批进不来。
var canonicalID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// touched 记着本副本已经写下的各把 key 的分钟：同一分钟里的其余各批不必再写。零值可用。
type touched struct {
	mu      sync.Mutex
	minutes map[string]time.Time
}

// fresh 留下比记着的新的。
func (t *touched) fresh(uses []usage.KeyUse) []usage.KeyUse {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []usage.KeyUse
	for _, u := range uses {
		if u.At.After(t.minutes[u.KeyID]) && canonicalID.MatchString(u.KeyID) {
			out = append(out, u)
		}
	}
	return out
}

// note 在提交之后记下：没有提交的不算写过。
func (t *touched) note(uses []usage.KeyUse) {
	if len(uses) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.minutes == nil || len(t.minutes)+len(uses) > maxRemembered {
		t.minutes = make(map[string]time.Time, len(uses))
	}
	for _, u := range uses {
		if u.At.After(t.minutes[u.KeyID]) {
			t.minutes[u.KeyID] = u.At
		}
	}
}

// touchKeys 是入库的事务里最后的一条语句：它锁的行是各节点共有的，锁得越短越好。返回写下的。
func (s *Store) touchKeys(ctx context.Context, q *sqlcgen.Queries, b usage.Batch, step usage.Step) ([]usage.KeyUse, error) {
	uses := s.touched.fresh(usage.KeyUses(b, b.Last-uint64(step.Verdict.Records)))
	if len(uses) == 0 {
		return nil, nil
	}
	ids, at := make([]string, 0, len(uses)), make([]time.Time, 0, len(uses))
	for _, u := range uses {
		ids, at = append(ids, u.KeyID), append(at, u.At)
	}
	if err := q.TouchKeys(ctx, ids, at); err != nil {
		return nil, fmt.Errorf("note the use of keys: %w", err)
	}
	return uses, nil
}

// KeysUsed 给出 ids 里用过的各把 key 最近一次用在何时，UTC，精确到一分钟。错误：Unavailable。
func (s *Store) KeysUsed(ctx context.Context, ids []string) (map[string]time.Time, error) {
	rows, err := s.q.ListKeyUse(ctx, ids)
	if err != nil {
		return nil, configErr(err)
	}
	used := make(map[string]time.Time, len(rows))
	for _, r := range rows {
		used[r.KeyID] = r.LastUsedAt.UTC()
	}
	return used, nil
}
