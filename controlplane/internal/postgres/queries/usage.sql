-- name: EnsureUsageCursor :exec
INSERT INTO usage_cursor (node_id, epoch) VALUES (@node_id, @epoch)
ON CONFLICT (node_id, epoch) DO NOTHING;

-- name: LockUsageCursor :one
SELECT
    hwm, cum_requests, cum_attempts, cum_refused, cum_prompt_tokens, cum_completion_tokens, cum_cached_tokens, cum_reasoning_tokens, cum_cost_nano, cum_lost, cum_mismatch
FROM usage_cursor
WHERE node_id = @node_id AND epoch = @epoch
FOR UPDATE;

-- name: UsageHighWater :one
SELECT COALESCE(max(hwm), 0)::bigint AS hwm
FROM usage_cursor
WHERE node_id = @node_id AND epoch = @epoch;

-- name: AdvanceUsageCursor :exec
UPDATE usage_cursor SET
    hwm = @hwm, cum_mismatch = @cum_mismatch, updated_at = now(),
    cum_requests = @cum_requests, cum_attempts = @cum_attempts,
    cum_refused = @cum_refused, cum_prompt_tokens = @cum_prompt_tokens,
    cum_completion_tokens = @cum_completion_tokens, cum_cached_tokens = @cum_cached_tokens,
    cum_reasoning_tokens = @cum_reasoning_tokens, cum_cost_nano = @cum_cost_nano,
    cum_lost = @cum_lost
WHERE node_id = @node_id AND epoch = @epoch;

-- name: AddUsageMinutes :exec
-- 各数组等长，按主键升序：并发的事务以同样的次序取行锁，因此不会互锁。
INSERT INTO usage_minute AS u (
    minute, server, app, model,
    served_model, source, requests, attempts,
    errors_client, errors_upstream, errors_gateway, errors_limit,
    aborted, attempt_errors, attempts_with_usage, prompt_tokens,
    completion_tokens, cached_tokens, reasoning_tokens, cost_nano,
    queue_us, first_byte_us, first_byte_count, duration_us,
    upstream_us
)
SELECT
    unnest(@minutes::timestamptz[]), unnest(@servers::text[]),
    unnest(@apps::text[]), unnest(@models::text[]),
    unnest(@served_models::text[]), unnest(@sources::smallint[]),
    unnest(@requests::bigint[]), unnest(@attempts::bigint[]),
    unnest(@errors_client::bigint[]), unnest(@errors_upstream::bigint[]),
    unnest(@errors_gateway::bigint[]), unnest(@errors_limit::bigint[]),
    unnest(@aborted::bigint[]), unnest(@attempt_errors::bigint[]),
    unnest(@attempts_with_usage::bigint[]), unnest(@prompt_tokens::bigint[]),
    unnest(@completion_tokens::bigint[]), unnest(@cached_tokens::bigint[]),
    unnest(@reasoning_tokens::bigint[]), unnest(@cost_nano::bigint[]),
    unnest(@queue_us::bigint[]), unnest(@first_byte_us::bigint[]),
    unnest(@first_byte_count::bigint[]), unnest(@duration_us::bigint[]),
    unnest(@upstream_us::bigint[])
ON CONFLICT (minute, server, app, model, served_model, source) DO UPDATE SET
    requests = u.requests + EXCLUDED.requests, attempts = u.attempts + EXCLUDED.attempts,
    errors_client = u.errors_client + EXCLUDED.errors_client, errors_upstream = u.errors_upstream + EXCLUDED.errors_upstream,
    errors_gateway = u.errors_gateway + EXCLUDED.errors_gateway, errors_limit = u.errors_limit + EXCLUDED.errors_limit,
    aborted = u.aborted + EXCLUDED.aborted, attempt_errors = u.attempt_errors + EXCLUDED.attempt_errors,
    attempts_with_usage = u.attempts_with_usage + EXCLUDED.attempts_with_usage, prompt_tokens = u.prompt_tokens + EXCLUDED.prompt_tokens,
    completion_tokens = u.completion_tokens + EXCLUDED.completion_tokens, cached_tokens = u.cached_tokens + EXCLUDED.cached_tokens,
    reasoning_tokens = u.reasoning_tokens + EXCLUDED.reasoning_tokens, cost_nano = u.cost_nano + EXCLUDED.cost_nano,
    queue_us = u.queue_us + EXCLUDED.queue_us, first_byte_us = u.first_byte_us + EXCLUDED.first_byte_us,
    first_byte_count = u.first_byte_count + EXCLUDED.first_byte_count, duration_us = u.duration_us + EXCLUDED.duration_us,
    upstream_us = u.upstream_us + EXCLUDED.upstream_us;

-- name: AddUsageRefusals :exec
INSERT INTO usage_refused AS u (minute, app, model, code, count)
SELECT
    unnest(@minutes::timestamptz[]), unnest(@apps::text[]), unnest(@models::text[]),
    unnest(@codes::text[]), unnest(@counts::bigint[])
ON CONFLICT (minute, app, model, code) DO UPDATE SET count = u.count + EXCLUDED.count;

-- name: AddUsageGap :exec
INSERT INTO usage_gap (
    node_id, epoch, first_seq, last_seq, reason,
    requests, attempts, refused, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_nano, lost
) VALUES (
    @node_id, @epoch, @first_seq, @last_seq, @reason,
    @requests, @attempts, @refused, @prompt_tokens, @completion_tokens, @cached_tokens, @reasoning_tokens, @cost_nano, @lost
);

-- name: UsageConservation :one
-- 各栏都必须是零；一条语句即一个快照，与正在进行的写入无关。
WITH m AS (
    SELECT
        COALESCE(sum(requests), 0) AS requests, COALESCE(sum(attempts), 0) AS attempts,
        COALESCE(sum(prompt_tokens), 0) AS prompt_tokens, COALESCE(sum(completion_tokens), 0) AS completion_tokens,
        COALESCE(sum(cached_tokens), 0) AS cached_tokens, COALESCE(sum(reasoning_tokens), 0) AS reasoning_tokens,
        COALESCE(sum(cost_nano), 0) AS cost_nano
    FROM usage_minute
), r AS (
    SELECT COALESCE(sum(count), 0) AS refused FROM usage_refused
), g AS (
    SELECT
        COALESCE(sum(requests), 0) AS requests, COALESCE(sum(attempts), 0) AS attempts,
        COALESCE(sum(refused), 0) AS refused, COALESCE(sum(prompt_tokens), 0) AS prompt_tokens,
        COALESCE(sum(completion_tokens), 0) AS completion_tokens, COALESCE(sum(cached_tokens), 0) AS cached_tokens,
        COALESCE(sum(reasoning_tokens), 0) AS reasoning_tokens, COALESCE(sum(cost_nano), 0) AS cost_nano,
        COALESCE(sum(lost), 0) AS lost
    FROM usage_gap
), c AS (
    SELECT
        COALESCE(sum(cum_requests), 0) AS requests, COALESCE(sum(cum_attempts), 0) AS attempts,
        COALESCE(sum(cum_refused), 0) AS refused, COALESCE(sum(cum_prompt_tokens), 0) AS prompt_tokens,
        COALESCE(sum(cum_completion_tokens), 0) AS completion_tokens, COALESCE(sum(cum_cached_tokens), 0) AS cached_tokens,
        COALESCE(sum(cum_reasoning_tokens), 0) AS reasoning_tokens, COALESCE(sum(cum_cost_nano), 0) AS cost_nano,
        COALESCE(sum(cum_lost), 0) AS lost
    FROM usage_cursor
)
SELECT
    (m.requests + g.requests - c.requests)::bigint AS requests, (m.attempts + g.attempts - c.attempts)::bigint AS attempts,
    (r.refused + g.refused - c.refused)::bigint AS refused, (m.prompt_tokens + g.prompt_tokens - c.prompt_tokens)::bigint AS prompt_tokens,
    (m.completion_tokens + g.completion_tokens - c.completion_tokens)::bigint AS completion_tokens, (m.cached_tokens + g.cached_tokens - c.cached_tokens)::bigint AS cached_tokens,
    (m.reasoning_tokens + g.reasoning_tokens - c.reasoning_tokens)::bigint AS reasoning_tokens, (m.cost_nano + g.cost_nano - c.cost_nano)::bigint AS cost_nano,
    (g.lost - c.lost)::bigint AS lost
FROM m, r, g, c;
