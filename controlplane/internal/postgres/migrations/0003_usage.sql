-- +goose Up
-- 已结束请求的每分钟总数。分钟是 UTC，按请求结束的时刻；请求记在最后一次调用的 server 与 source 上，
-- 每次调用的 token 与费用记在它自己的 server 与 source 上。
CREATE TABLE usage_minute (
    minute              timestamptz NOT NULL,
    server              text        NOT NULL,
    app                 text        NOT NULL,
    model               text        NOT NULL,
    served_model        text        NOT NULL,
    source              smallint    NOT NULL,
    requests            bigint      NOT NULL,
    attempts            bigint      NOT NULL,
    errors_client       bigint      NOT NULL,
    errors_upstream     bigint      NOT NULL,
    errors_gateway      bigint      NOT NULL,
    errors_limit        bigint      NOT NULL,
    aborted             bigint      NOT NULL,
    attempt_errors      bigint      NOT NULL,
    attempts_with_usage bigint      NOT NULL,
    prompt_tokens       bigint      NOT NULL,
    completion_tokens   bigint      NOT NULL,
    cached_tokens       bigint      NOT NULL,
    reasoning_tokens    bigint      NOT NULL,
    cost_nano           bigint      NOT NULL,
    queue_us            bigint      NOT NULL,
    first_byte_us       bigint      NOT NULL,
    first_byte_count    bigint      NOT NULL,
    duration_us         bigint      NOT NULL,
    upstream_us         bigint      NOT NULL,
    PRIMARY KEY (minute, server, app, model, served_model, source)
);

-- 没有到达任何 server 的拒绝。
CREATE TABLE usage_refused (
    minute timestamptz NOT NULL,
    app    text        NOT NULL,
    model  text        NOT NULL,
    code   text        NOT NULL,
    count  bigint      NOT NULL,
    PRIMARY KEY (minute, app, model, code)
);

-- 再也拿不出的记录：洞的范围与已知的总数。
CREATE TABLE usage_gap (
    node_id           text        NOT NULL,
    epoch             bigint      NOT NULL,
    first_seq         bigint      NOT NULL,
    last_seq          bigint      NOT NULL,
    reason            text        NOT NULL,
    requests          bigint      NOT NULL,
    attempts          bigint      NOT NULL,
    refused           bigint      NOT NULL,
    prompt_tokens     bigint      NOT NULL,
    completion_tokens bigint      NOT NULL,
    cached_tokens     bigint      NOT NULL,
    reasoning_tokens  bigint      NOT NULL,
    cost_nano         bigint      NOT NULL,
    lost              bigint      NOT NULL,
    recorded_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node_id, epoch, first_seq)
);

-- 每个节点每个 epoch 一行：hwm 及以前的记录已计入上面三张表，cum_* 是它们的总数。
CREATE TABLE usage_cursor (
    node_id               text        NOT NULL,
    epoch                 bigint      NOT NULL,
    hwm                   bigint      NOT NULL DEFAULT 0,
    cum_requests          bigint      NOT NULL DEFAULT 0,
    cum_attempts          bigint      NOT NULL DEFAULT 0,
    cum_refused           bigint      NOT NULL DEFAULT 0,
    cum_prompt_tokens     bigint      NOT NULL DEFAULT 0,
    cum_completion_tokens bigint      NOT NULL DEFAULT 0,
    cum_cached_tokens     bigint      NOT NULL DEFAULT 0,
    cum_reasoning_tokens  bigint      NOT NULL DEFAULT 0,
    cum_cost_nano         bigint      NOT NULL DEFAULT 0,
    cum_lost              bigint      NOT NULL DEFAULT 0,
    -- cum_mismatch 是节点自报的总数减去 cum_*，一致则为 NULL。
    cum_mismatch          jsonb,
    created_at            timestamptz NOT NULL DEFAULT now(),
    updated_at            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node_id, epoch)
);
