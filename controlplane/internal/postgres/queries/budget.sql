-- name: BudgetNodes :one
SELECT count(*) FROM nodes WHERE connected AND last_seen >= now() - interval '10 seconds';

-- name: UsageCursors :many
-- 一天没有动过的不列：那时节点手上早没有等着它的花费。
SELECT node_id, epoch, hwm FROM usage_cursor WHERE updated_at >= now() - interval '1 day';

-- name: BudgetSpent :many
-- 每个 app 从各自的起点起花了多少，一条语句即一个快照：没有并入的增量，加整的 UTC 天，加其余的整小时，
-- 再减去头一个小时里起点之前的分钟（时区偏移不是整小时才有；分钟清退之后减不掉，只会多算不会少算）。
-- 增量只扫一遍，各级逐个 app 走主键，所以代价看有预算的有多少个，不看表有多大。
WITH asked AS (
    SELECT unnest(@apps::text[]) AS app, unnest(@starts::timestamptz[]) AS since
), edges AS MATERIALIZED (
    SELECT
        app, since, date_trunc('hour', since, 'UTC') AS first_hour,
        date_trunc('day', since + interval '24 hours' - interval '1 microsecond', 'UTC') AS first_day
    FROM asked
), fresh AS MATERIALIZED (
    SELECT app, minute, sum(prompt_tokens + completion_tokens) AS tokens, sum(cost_nano) AS cost
    FROM usage_delta WHERE app = ANY(@apps::text[])
    GROUP BY app, minute
)
SELECT
    e.app::text AS app,
    (pending.tokens + days.tokens + hours.tokens - before.tokens)::bigint AS tokens,
    (pending.cost + days.cost + hours.cost - before.cost)::bigint AS cost_nano
FROM edges AS e
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(f.tokens), 0) AS tokens, COALESCE(sum(f.cost), 0) AS cost
    FROM fresh AS f WHERE f.app = e.app AND f.minute >= e.since
) AS pending
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(u.prompt_tokens + u.completion_tokens), 0) AS tokens, COALESCE(sum(u.cost_nano), 0) AS cost
    FROM usage_day_by AS u WHERE u.dim = 2 AND u.name = e.app AND u.bucket >= e.first_day
) AS days
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(u.prompt_tokens + u.completion_tokens), 0) AS tokens, COALESCE(sum(u.cost_nano), 0) AS cost
    FROM usage_hour_by AS u WHERE u.dim = 2 AND u.name = e.app AND u.bucket >= e.first_hour AND u.bucket < e.first_day
) AS hours
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(u.prompt_tokens + u.completion_tokens), 0) AS tokens, COALESCE(sum(u.cost_nano), 0) AS cost
    FROM usage_minute AS u WHERE u.app = e.app AND u.bucket >= e.first_hour AND u.bucket < e.since
) AS before;
