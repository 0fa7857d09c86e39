package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// usageSource 把请求与拒绝并成一张表；拒绝没有 server，以 "" 出现。
const usageSource = `
SELECT minute, server, app, model, requests, attempts, 0::bigint AS refused,
    errors_client, errors_upstream, errors_gateway, errors_limit, aborted, attempt_errors,
    prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, attempts_with_usage, cost_nano,
    queue_us, first_byte_us, first_byte_count, duration_us, upstream_us
FROM usage_minute
UNION ALL
SELECT minute, '', app, model, 0, 0, count, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
FROM usage_refused`

// usageSums 的次序就是 scanUsage 的次序。
const usageSums = `
    sum(requests)::bigint, sum(attempts)::bigint, sum(refused)::bigint,
    sum(errors_client)::bigint, sum(errors_upstream)::bigint, sum(errors_gateway)::bigint, sum(errors_limit)::bigint,
    sum(aborted)::bigint, sum(attempt_errors)::bigint,
    sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint, sum(cached_tokens)::bigint, sum(reasoning_tokens)::bigint,
    sum(attempts_with_usage)::bigint, sum(cost_nano)::bigint,
    sum(queue_us)::bigint, sum(first_byte_us)::bigint, sum(first_byte_count)::bigint,
    sum(duration_us)::bigint, sum(upstream_us)::bigint`

// QueryUsage 求和；q 须已经 usage.Reader 校验，至多返回 limit 行。栏名只来自下面的固定文字，值只走参数。
func (s *Store) QueryUsage(ctx context.Context, q usage.Query, limit int) ([]usage.Row, error) {
	sql, args := usageSQL(q, limit)
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, usageQueryError(err)
	}
	out, err := pgx.CollectRows(rows, scanUsage)
	if err != nil {
		return nil, usageQueryError(err)
	}
	return out, nil
}

func usageSQL(q usage.Query, limit int) (string, []any) {
	args := []any{q.From, q.To}
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	where := []string{"minute >= $1", "minute < $2"}
	for _, f := range []struct {
		column string
		values []string
	}{{"server", q.Servers}, {"app", q.Apps}, {"model", q.Models}} {
		if len(f.values) > 0 {
			where = append(where, f.column+" = ANY("+arg(f.values)+"::text[])")
		}
	}
	bucket, group := "NULL::timestamptz", []string{}
	switch q.Interval {
	case usage.IntervalMinute, usage.IntervalHour, usage.IntervalDay:
		bucket = "date_trunc(" + arg(string(q.Interval)) + "::text, minute, " + arg(q.TimeZone) + "::text)"
		group = append(group, "1")
	}
	columns := []string{bucket + " AS bucket"}
	for i, d := range []usage.Dimension{usage.ByServer, usage.ByApp, usage.ByModel} {
		name := [...]string{"server", "app", "model"}[i]
		if !q.Groups(d) {
			columns = append(columns, "'' AS "+name+"_out")
			continue
		}
		columns = append(columns, name+" AS "+name+"_out")
		group = append(group, fmt.Sprint(i+2))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "SELECT %s,%s\nFROM (%s) AS u\nWHERE %s\n", strings.Join(columns, ", "), usageSums, usageSource, strings.Join(where, " AND "))
	if len(group) > 0 {
		fmt.Fprintf(&b, "GROUP BY %s\n", strings.Join(group, ", "))
	} else {
		b.WriteString("HAVING count(*) > 0\n")
	}
	fmt.Fprintf(&b, "LIMIT %s", arg(limit))
	return b.String(), args
}

func scanUsage(row pgx.CollectableRow) (usage.Row, error) {
	var r usage.Row
	var bucket *time.Time
	f := &r.Figures
	err := row.Scan(&bucket, &r.Server, &r.App, &r.Model,
		&f.Requests, &f.Attempts, &f.Refused,
		&f.ErrorsClient, &f.ErrorsUpstream, &f.ErrorsGateway, &f.ErrorsLimit, &f.Aborted, &f.AttemptErrors,
		&f.PromptTokens, &f.CompletionTokens, &f.CachedTokens, &f.ReasoningTokens, &f.AttemptsWithUsage, &f.CostNano,
		&f.QueueUS, &f.FirstByteUS, &f.FirstByteCount, &f.DurationUS, &f.UpstreamUS)
	if bucket != nil {
		r.Bucket = *bucket
	}
	f.Errors = f.ErrorsClient + f.ErrorsUpstream + f.ErrorsGateway + f.ErrorsLimit
	return r, err
}

// usageQueryError 认出数据库不识的时区：Go 的时区表可以比它新。
func usageQueryError(err error) error {
	const invalidParameterValue = "22023"
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == invalidParameterValue && strings.Contains(pg.Message, "time zone") {
		return vegaerr.Wrap(err, vegaerr.Invalid, "", "the usage query is not valid").WithProblems([]vegaerr.Problem{
			{Path: "time_zone", Message: "the database does not know this time zone"}})
	}
	return vegaerr.Wrap(err, vegaerr.Unavailable, "", "usage cannot be read now")
}
