-- 用量分三级：分钟、小时、UTC 的一天，另有按单个维度合计的一份。
-- 入库只往 usage_delta 追加（各节点互不相争），由唯一的 roller 在一个事务里删掉增量、加进各级：
-- 任何一刻，各级之和加上还没有并入的增量就是全部。
-- +goose Up

-- 一批之内同键的已经合并。code 非空的是拒绝：server、served_model 为空，source 为 0，只有 refused。
-- 三个 *_hist 是直方图（usage.Histogram 的编码），空即没有。
CREATE TABLE usage_delta (
    id                  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    minute              timestamptz NOT NULL,
    server              text        NOT NULL,
    app                 text        NOT NULL,
    model               text        NOT NULL,
    served_model        text        NOT NULL,
    source              smallint    NOT NULL,
    code                text        NOT NULL,
    requests            bigint      NOT NULL,
    attempts            bigint      NOT NULL,
    refused             bigint      NOT NULL,
    errors_client       bigint      NOT NULL,
    errors_upstream     bigint      NOT NULL,
    errors_gateway      bigint      NOT NULL,
    errors_limit        bigint      NOT NULL,
    aborted             bigint      NOT NULL,
    attempt_errors      bigint      NOT NULL,
    attempts_with_usage bigint      NOT NULL,
    replayed            bigint      NOT NULL,
    unjournalled        bigint      NOT NULL,
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
    queue_hist          bytea       NOT NULL,
    first_byte_hist     bytea       NOT NULL,
    duration_hist       bytea       NOT NULL
);

-- 已有的分钟与拒绝原样成为增量，由 roller 并入新的各级。
-- 还没有换掉的旧副本也许正在写：先等它们写完、不许再写，否则读过之后才提交的会随旧表一起丢。次序同它们写的次序，不互锁。
LOCK TABLE usage_refused IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE usage_minute IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO usage_delta (
    minute, server, app, model, served_model, source, code, requests, attempts, refused,
    errors_client, errors_upstream, errors_gateway, errors_limit, aborted, attempt_errors, attempts_with_usage,
    replayed, unjournalled, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_nano,
    queue_us, first_byte_us, first_byte_count, duration_us, upstream_us, queue_hist, first_byte_hist, duration_hist
)
SELECT
    minute, server, app, model, served_model, source, '', requests, attempts, 0,
    errors_client, errors_upstream, errors_gateway, errors_limit, aborted, attempt_errors, attempts_with_usage,
    0, 0, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_nano,
    queue_us, first_byte_us, first_byte_count, duration_us, upstream_us, ''::bytea, ''::bytea, ''::bytea
FROM usage_minute
UNION ALL
SELECT
    minute, '', app, model, '', 0, code, 0, 0, count,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ''::bytea, ''::bytea, ''::bytea
FROM usage_refused;
DROP TABLE usage_minute;
DROP TABLE usage_refused;

-- 各级的表同形，bucket 是这一级的起点（UTC）；分区由 roller 在用到之前建好：分钟按天，其余按月。
CREATE TABLE usage_minute (
    bucket              timestamptz NOT NULL,
    server              text        NOT NULL,
    app                 text        NOT NULL,
    model               text        NOT NULL,
    served_model        text        NOT NULL,
    source              smallint    NOT NULL,
    code                text        NOT NULL,
    requests            bigint      NOT NULL,
    attempts            bigint      NOT NULL,
    refused             bigint      NOT NULL,
    errors_client       bigint      NOT NULL,
    errors_upstream     bigint      NOT NULL,
    errors_gateway      bigint      NOT NULL,
    errors_limit        bigint      NOT NULL,
    aborted             bigint      NOT NULL,
    attempt_errors      bigint      NOT NULL,
    attempts_with_usage bigint      NOT NULL,
    replayed            bigint      NOT NULL,
    unjournalled        bigint      NOT NULL,
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
    queue_hist          bytea       NOT NULL,
    first_byte_hist     bytea       NOT NULL,
    duration_hist       bytea       NOT NULL,
    PRIMARY KEY (bucket, server, app, model, served_model, source, code)
) PARTITION BY RANGE (bucket);
CREATE TABLE usage_hour (LIKE usage_minute INCLUDING INDEXES) PARTITION BY RANGE (bucket);
CREATE TABLE usage_day (LIKE usage_minute INCLUDING INDEXES) PARTITION BY RANGE (bucket);

-- 按单个维度合计。dim：0 全部（name 为空），1 server，2 app，3 model。
CREATE TABLE usage_hour_by (
    bucket              timestamptz NOT NULL,
    dim                 smallint    NOT NULL,
    name                text        NOT NULL,
    source              smallint    NOT NULL,
    requests            bigint      NOT NULL,
    attempts            bigint      NOT NULL,
    refused             bigint      NOT NULL,
    errors_client       bigint      NOT NULL,
    errors_upstream     bigint      NOT NULL,
    errors_gateway      bigint      NOT NULL,
    errors_limit        bigint      NOT NULL,
    aborted             bigint      NOT NULL,
    attempt_errors      bigint      NOT NULL,
    attempts_with_usage bigint      NOT NULL,
    replayed            bigint      NOT NULL,
    unjournalled        bigint      NOT NULL,
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
    queue_hist          bytea       NOT NULL,
    first_byte_hist     bytea       NOT NULL,
    duration_hist       bytea       NOT NULL,
    PRIMARY KEY (dim, name, bucket, source)
) PARTITION BY RANGE (bucket);
CREATE TABLE usage_day_by (LIKE usage_hour_by INCLUDING INDEXES) PARTITION BY RANGE (bucket);

CREATE INDEX ON usage_hour (app, bucket);
CREATE INDEX ON usage_hour (server, bucket);

-- 不再在各级里的总数，守恒的核对因此不因删除而断：一行一个清退了的天的合计的分区；late 是来得太晚、
-- 连天都已清退的。
CREATE TABLE usage_retired (
    partition         text        PRIMARY KEY,
    requests          bigint      NOT NULL,
    attempts          bigint      NOT NULL,
    refused           bigint      NOT NULL,
    prompt_tokens     bigint      NOT NULL,
    completion_tokens bigint      NOT NULL,
    cached_tokens     bigint      NOT NULL,
    reasoning_tokens  bigint      NOT NULL,
    cost_nano         bigint      NOT NULL,
    retired_at        timestamptz NOT NULL DEFAULT now()
);

-- 逐条的请求，只有元数据；按结束的那一天（UTC）分区，分区同样由维护任务先建好。
CREATE TABLE usage_request (
    ended_at          timestamptz NOT NULL,
    id                text        NOT NULL,
    node_id           text        NOT NULL,
    key_id            text        NOT NULL,
    app               text        NOT NULL,
    model             text        NOT NULL,
    served_model      text        NOT NULL,
    server            text        NOT NULL,
    endpoint          text        NOT NULL,
    client_request_id text        NOT NULL,
    outcome           smallint    NOT NULL,
    status            smallint    NOT NULL,
    stream            boolean     NOT NULL,
    replayed          boolean     NOT NULL,
    unjournalled      boolean     NOT NULL,
    source            smallint    NOT NULL,
    started_at        timestamptz NOT NULL,
    queue_us          bigint      NOT NULL,
    first_byte_us     bigint      NOT NULL,
    duration_us       bigint      NOT NULL,
    prompt_tokens     bigint,
    completion_tokens bigint,
    cached_tokens     bigint,
    reasoning_tokens  bigint,
    cost_nano         bigint      NOT NULL,
    revision          bigint      NOT NULL,
    -- attempts 是每次上游调用：[{number, server, upstream_model, served_model, outcome, status, duration_us, source, tokens…, cost_nano}]。
    attempts          jsonb       NOT NULL,
    PRIMARY KEY (ended_at, id)
) PARTITION BY RANGE (ended_at);
CREATE INDEX ON usage_request USING hash (id);
CREATE INDEX ON usage_request (app, ended_at, id);

-- 整套安装的设置，只有一行；没写的项取程序里的缺省值。version 每改一次加一，即 ETag。
CREATE TABLE settings (
    one        boolean     PRIMARY KEY DEFAULT true CHECK (one),
    document   jsonb       NOT NULL DEFAULT '{}',
    version    bigint      NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO settings DEFAULT VALUES;
