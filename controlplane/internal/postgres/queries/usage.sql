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

-- name: AddUsageGap :exec
INSERT INTO usage_gap (
    node_id, epoch, first_seq, last_seq, reason,
    requests, attempts, refused, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_nano, lost
) VALUES (
    @node_id, @epoch, @first_seq, @last_seq, @reason,
    @requests, @attempts, @refused, @prompt_tokens, @completion_tokens, @cached_tokens, @reasoning_tokens, @cost_nano, @lost
);

-- name: UsageConservation :one
-- 各栏都必须是零；一条语句即一个快照，与正在进行的写入无关。天的合计是最小的一级，留得也最久，因此由它代表各级。
WITH l AS (
    SELECT
        COALESCE(sum(requests), 0) AS requests,
        COALESCE(sum(attempts), 0) AS attempts,
        COALESCE(sum(refused), 0) AS refused,
        COALESCE(sum(prompt_tokens), 0) AS prompt_tokens,
        COALESCE(sum(completion_tokens), 0) AS completion_tokens,
        COALESCE(sum(cached_tokens), 0) AS cached_tokens,
        COALESCE(sum(reasoning_tokens), 0) AS reasoning_tokens,
        COALESCE(sum(cost_nano), 0) AS cost_nano
    FROM usage_day_by
    WHERE dim = 0
), d AS (
    SELECT
        COALESCE(sum(requests), 0) AS requests,
        COALESCE(sum(attempts), 0) AS attempts,
        COALESCE(sum(refused), 0) AS refused,
        COALESCE(sum(prompt_tokens), 0) AS prompt_tokens,
        COALESCE(sum(completion_tokens), 0) AS completion_tokens,
        COALESCE(sum(cached_tokens), 0) AS cached_tokens,
        COALESCE(sum(reasoning_tokens), 0) AS reasoning_tokens,
        COALESCE(sum(cost_nano), 0) AS cost_nano
    FROM usage_delta
), r AS (
    SELECT
        COALESCE(sum(requests), 0) AS requests,
        COALESCE(sum(attempts), 0) AS attempts,
        COALESCE(sum(refused), 0) AS refused,
        COALESCE(sum(prompt_tokens), 0) AS prompt_tokens,
        COALESCE(sum(completion_tokens), 0) AS completion_tokens,
        COALESCE(sum(cached_tokens), 0) AS cached_tokens,
        COALESCE(sum(reasoning_tokens), 0) AS reasoning_tokens,
        COALESCE(sum(cost_nano), 0) AS cost_nano
    FROM usage_retired
), g AS (
    SELECT
        COALESCE(sum(requests), 0) AS requests,
        COALESCE(sum(attempts), 0) AS attempts,
        COALESCE(sum(refused), 0) AS refused,
        COALESCE(sum(prompt_tokens), 0) AS prompt_tokens,
        COALESCE(sum(completion_tokens), 0) AS completion_tokens,
        COALESCE(sum(cached_tokens), 0) AS cached_tokens,
        COALESCE(sum(reasoning_tokens), 0) AS reasoning_tokens,
        COALESCE(sum(cost_nano), 0) AS cost_nano,
        COALESCE(sum(lost), 0) AS lost
    FROM usage_gap
), c AS (
    SELECT
        COALESCE(sum(cum_requests), 0) AS requests,
        COALESCE(sum(cum_attempts), 0) AS attempts,
        COALESCE(sum(cum_refused), 0) AS refused,
        COALESCE(sum(cum_prompt_tokens), 0) AS prompt_tokens,
        COALESCE(sum(cum_completion_tokens), 0) AS completion_tokens,
        COALESCE(sum(cum_cached_tokens), 0) AS cached_tokens,
        COALESCE(sum(cum_reasoning_tokens), 0) AS reasoning_tokens,
        COALESCE(sum(cum_cost_nano), 0) AS cost_nano,
        COALESCE(sum(cum_lost), 0) AS lost
    FROM usage_cursor
)
SELECT
    (l.requests + d.requests + r.requests + g.requests - c.requests)::bigint AS requests,
    (l.attempts + d.attempts + r.attempts + g.attempts - c.attempts)::bigint AS attempts,
    (l.refused + d.refused + r.refused + g.refused - c.refused)::bigint AS refused,
    (l.prompt_tokens + d.prompt_tokens + r.prompt_tokens + g.prompt_tokens - c.prompt_tokens)::bigint AS prompt_tokens,
    (l.completion_tokens + d.completion_tokens + r.completion_tokens + g.completion_tokens - c.completion_tokens)::bigint AS completion_tokens,
    (l.cached_tokens + d.cached_tokens + r.cached_tokens + g.cached_tokens - c.cached_tokens)::bigint AS cached_tokens,
    (l.reasoning_tokens + d.reasoning_tokens + r.reasoning_tokens + g.reasoning_tokens - c.reasoning_tokens)::bigint AS reasoning_tokens,
    (l.cost_nano + d.cost_nano + r.cost_nano + g.cost_nano - c.cost_nano)::bigint AS cost_nano,
    (g.lost - c.lost)::bigint AS lost
FROM l, d, r, g, c;

-- name: UsageFloors :many
SELECT level, floor FROM usage_floor;

-- name: RaiseUsageFloor :exec
INSERT INTO usage_floor AS u (level, floor) VALUES (@level, @floor)
ON CONFLICT (level) DO UPDATE SET floor = greatest(u.floor, EXCLUDED.floor);

-- name: DeleteOldRequests :exec
DELETE FROM usage_request_default WHERE ended_at < @before;

-- name: AddUsageRetired :exec
INSERT INTO usage_retired AS u (
    partition, requests, attempts, refused, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_nano
) VALUES (
    @partition, @requests, @attempts, @refused, @prompt_tokens, @completion_tokens, @cached_tokens, @reasoning_tokens, @cost_nano
)
ON CONFLICT (partition) DO UPDATE SET
    requests = u.requests + EXCLUDED.requests,
    attempts = u.attempts + EXCLUDED.attempts,
    refused = u.refused + EXCLUDED.refused,
    prompt_tokens = u.prompt_tokens + EXCLUDED.prompt_tokens,
    completion_tokens = u.completion_tokens + EXCLUDED.completion_tokens,
    cached_tokens = u.cached_tokens + EXCLUDED.cached_tokens,
    reasoning_tokens = u.reasoning_tokens + EXCLUDED.reasoning_tokens,
    cost_nano = u.cost_nano + EXCLUDED.cost_nano,
    retired_at = now();
