package postgres

import (
	"fmt"
	"strings"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// requestSQL 攒一条语句：文字都是固定的，值只走参数。
type requestSQL struct {
	args []any
}

func (s *requestSQL) arg(v any) string {
	s.args = append(s.args, v)
	return fmt.Sprintf("$%d", len(s.args))
}

// requestPlan 让规划器只走索引的次序：它估错一次，就会为一页去排一整天；那样的话也跑不过 15 秒。参数是要关掉的做法。
const requestPlan = "SELECT set_config(name, 'off', true) FROM unnest($1::text[]) AS name UNION ALL " +
	"SELECT set_config(name, value, true) FROM (VALUES ('max_parallel_workers_per_gather', '0'), ('statement_timeout', '15s')) AS fixed (name, value)"

// forbidden 是取 q 时不许用的做法。按请求号找的命中少，先找到再排才对。
func forbidden(q usage.RequestScan) []string {
	list := []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"}
	if q.Filter.ID == "" {
		list = append(list, "enable_sort", "enable_bitmapscan")
	}
	return list
}

// scan 是一条语句：先按时间取至多 Rows 行，只记位置与中不中，再取回挑中的。
// 先是看过多少、最后一行在哪里；其后是一条请求，一条也没有挑中时全是 NULL。
func (s *requestSQL) scan(q usage.RequestScan) string {
	source := s.source(q)
	return fmt.Sprintf(`
WITH chunk AS MATERIALIZED (
    SELECT u.ended_at, u.id, (%s) AS hit FROM (%s) AS u
), seen AS (
    SELECT count(*) AS examined FROM chunk
), oldest AS (
    SELECT ended_at, id FROM chunk ORDER BY ended_at, id COLLATE "C" LIMIT 1
), found AS (
    SELECT r.* FROM (SELECT ended_at, id FROM chunk WHERE hit ORDER BY ended_at DESC, id COLLATE "C" DESC LIMIT %s) AS h
    JOIN usage_request AS r ON r.ended_at = h.ended_at AND r.id = h.id
)
SELECT seen.examined, oldest.ended_at AS last_at, oldest.id AS last_id, found.%s
FROM seen LEFT JOIN oldest ON true LEFT JOIN found ON true
ORDER BY found.ended_at DESC, found.id COLLATE "C" DESC`,
		s.hit(q.Filter), source, s.arg(q.Limit), strings.Join(requestColumns(), ", found."))
}

// source 是按时间倒着取的一段，靠得上索引的条件都在这里：请求号、只有一个的 app、时间。
func (s *requestSQL) source(q usage.RequestScan) string {
	rows, f, where := s.arg(q.Rows), q.Filter, []string{"true"}
	if !f.From.IsZero() {
		where = append(where, "ended_at >= "+s.arg(f.From))
	}
	if !f.To.IsZero() {
		where = append(where, "ended_at < "+s.arg(f.To))
	}
	if len(f.Apps) == 1 {
		where = append(where, "app = "+s.arg(f.Apps[0]))
	}
	if b := q.Before; b != (usage.Position{}) {
		at, id := s.arg(b.EndedAt), s.arg(b.ID)
		// 索引里没有 id：头一个条件让它从那一毫秒起步，第二个分清同一毫秒的先后。
		where = append(where, fmt.Sprintf(`ended_at <= %[1]s AND (ended_at, id COLLATE "C") < (%[1]s, %[2]s::text COLLATE "C")`, at, id))
	}
	one := func(extra string) string {
		return fmt.Sprintf(`SELECT * FROM usage_request WHERE %s%s ORDER BY ended_at DESC, id COLLATE "C" DESC LIMIT %s`,
			strings.Join(where, " AND "), extra, rows)
	}
	if f.ID == "" {
		return one("")
	}
	id := s.arg(f.ID)
	return fmt.Sprintf(`SELECT * FROM ((%s) UNION ALL (%s)) AS either ORDER BY ended_at DESC, id COLLATE "C" DESC LIMIT %s`,
		one(" AND id = "+id), one(" AND client_request_id = "+id+" AND client_request_id <> '' AND id <> "+id), rows)
}

// hit 是其余的条件。
func (s *requestSQL) hit(f usage.RequestFilter) string {
	conditions := []string{"true"}
	in := func(column, kind string, values any) {
		conditions = append(conditions, fmt.Sprintf("u.%s = ANY(%s::%s[])", column, s.arg(values), kind))
	}
	if len(f.Apps) > 1 {
		in("app", "text", f.Apps)
	}
	if len(f.Models) > 0 {
		in("model", "text", f.Models)
	}
	if len(f.Servers) > 0 {
		list := s.arg(f.Servers)
		conditions = append(conditions, fmt.Sprintf(`(u.server = ANY(%[1]s::text[]) OR jsonb_array_length(u.attempts) > 1
        AND EXISTS (SELECT FROM jsonb_array_elements(u.attempts) AS a WHERE a->>'server' = ANY(%[1]s::text[])))`, list))
	}
	if len(f.Keys) > 0 {
		list := s.arg(f.Keys)
		conditions = append(conditions, fmt.Sprintf(
			"(u.key_id = ANY(%[1]s::text[]) OR u.key_id IN (SELECT k.id::text FROM keys AS k WHERE k.app || '/' || k.name = ANY(%[1]s::text[])))", list))
	}
	if len(f.Outcomes) > 0 {
		in("outcome", "smallint", smallints(f.Outcomes))
	}
	if len(f.Statuses) > 0 {
		in("status", "smallint", smallints(f.Statuses))
	}
	if len(f.Sources) > 0 {
		in("source", "smallint", smallints(f.Sources))
	}
	if f.Stream != nil {
		conditions = append(conditions, "u.stream = "+s.arg(*f.Stream))
	}
	if f.MinDuration > 0 {
		conditions = append(conditions, "u.duration_us >= "+s.arg(int64(f.MinDuration/time.Microsecond)))
	}
	if f.Text != "" {
		conditions = append(conditions, `strpos(lower(concat_ws(E'\n', u.id, u.client_request_id, u.app, u.model, u.served_model, u.server, u.endpoint,
        u.node_id, u.key_id) COLLATE "C"), lower(`+s.arg(f.Text)+`::text COLLATE "C")) > 0`)
	}
	return strings.Join(conditions, "\n      AND ")
}

func smallints[T ~int | ~int32](values []T) []int16 {
	out := make([]int16, len(values))
	for i, v := range values {
		out[i] = int16(v)
	}
	return out
}
