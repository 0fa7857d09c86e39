-- name: LiveTotals :one
-- 从 since（UTC 的零点）起的累计：天的合计加还没有并入的增量，一条语句即一个快照，因此搬动增量时不会重、不会漏。
-- 只读每天几行的那一份，每秒问一次也便宜。
SELECT
    now()::timestamptz AS at,
    coalesce(sum(u.requests), 0)::bigint AS requests,
    coalesce(sum(u.errors), 0)::bigint AS errors,
    coalesce(sum(u.refused), 0)::bigint AS refused,
    coalesce(sum(u.prompt_tokens), 0)::bigint AS prompt_tokens,
    coalesce(sum(u.completion_tokens), 0)::bigint AS completion_tokens
FROM (
    SELECT requests, errors_client + errors_upstream + errors_gateway + errors_limit AS errors, refused, prompt_tokens, completion_tokens
    FROM usage_day_by WHERE dim = 0 AND bucket >= @since::timestamptz
    UNION ALL
    SELECT requests, errors_client + errors_upstream + errors_gateway + errors_limit, refused, prompt_tokens, completion_tokens
    FROM usage_delta WHERE minute >= @since::timestamptz
) AS u;

-- name: LiveSince :one
-- 最近 60 分钟里头一分钟的起点，与有没有过一个请求（游标从不删）。
SELECT
    now()::timestamptz AS at,
    (date_trunc('minute', now(), 'UTC') - interval '59 minutes')::timestamptz AS since,
    EXISTS (SELECT 1 FROM usage_cursor WHERE cum_requests > 0)::boolean AS ever;

-- name: LiveHour :many
-- 从 since 起的分钟与增量只扫一遍，同时按分钟、应用、服务器、模型四样分组。kind 是 GROUPING 的位：
-- 7 是一分钟，11 应用，13 服务器，14 模型；后三样只要请求最多的几个。
WITH u AS (
    SELECT
        bucket, server, app, model, requests, refused, cost_nano, first_byte_count,
        errors_client + errors_upstream + errors_gateway + errors_limit AS errors, prompt_tokens + completion_tokens AS tokens
    FROM usage_minute WHERE bucket >= @since::timestamptz
    UNION ALL
    SELECT
        minute, server, app, model, requests, refused, cost_nano, first_byte_count,
        errors_client + errors_upstream + errors_gateway + errors_limit, prompt_tokens + completion_tokens
    FROM usage_delta WHERE minute >= @since::timestamptz
), g AS (
    SELECT
        GROUPING(bucket, app, server, model)::int AS kind, coalesce(bucket, 'epoch'::timestamptz) AS bucket, coalesce(app, server, model, '') AS name,
        usage_sum(requests) AS requests, usage_sum(errors) AS errors, usage_sum(refused) AS refused,
        usage_sum(tokens) AS tokens, usage_sum(cost_nano) AS cost_nano, usage_sum(first_byte_count) AS observed
    FROM u
    GROUP BY GROUPING SETS ((bucket), (app), (server), (model))
), ranked AS (
    SELECT g.*, row_number() OVER (PARTITION BY kind ORDER BY requests DESC, tokens DESC, name COLLATE "C") AS place
    FROM g
    WHERE kind = 7 OR (name <> '' AND requests > 0)
)
SELECT
    kind::int AS kind, bucket::timestamptz AS bucket, name::text AS name, requests::bigint AS requests, errors::bigint AS errors,
    refused::bigint AS refused, tokens::bigint AS tokens, cost_nano::bigint AS cost_nano, observed::bigint AS observed
FROM ranked
WHERE kind = 7 OR place <= @top::bigint
ORDER BY kind, bucket, place;

-- name: LiveFirstByte :many
-- 这几分钟的首字节直方图，一行一份，由读的人合并。
SELECT bucket AS minute, first_byte_hist FROM usage_minute WHERE bucket = ANY(@minutes::timestamptz[]) AND first_byte_count > 0
UNION ALL
SELECT minute, first_byte_hist FROM usage_delta WHERE minute = ANY(@minutes::timestamptz[]) AND first_byte_count > 0;
