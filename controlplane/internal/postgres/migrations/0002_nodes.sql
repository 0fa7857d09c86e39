-- +goose Up
-- 一个节点一行：它有什么、谁握着它的流。epoch 与 session 是无符号 64 位数按位存成 bigint。
CREATE TABLE nodes (
    id                text PRIMARY KEY CHECK (id <> ''),
    epoch             bigint      NOT NULL,
    version           text        NOT NULL,
    replica           text        NOT NULL,
    -- session 是一条流的随机身份；只有握着这一行的流才能改它。
    session           bigint      NOT NULL,
    connected         boolean     NOT NULL,
    -- connected_at 是那个副本的钟，用来分辨两条流谁更新。
    connected_at      timestamptz NOT NULL,
    last_seen         timestamptz NOT NULL,
    applied_revision  bigint      NOT NULL,
    applied_digest    bytea       NOT NULL,
    rejected_revision bigint      NOT NULL,
    rejected_reason   text        NOT NULL,
    in_flight         bigint      NOT NULL,
    waiting           bigint      NOT NULL,
    unreported        bigint      NOT NULL,
    draining          boolean     NOT NULL,
    ejections         jsonb       NOT NULL,
    reported_error    text        NOT NULL,
    -- drain_epoch 要以这个 epoch 运行的进程退出；新进程的 epoch 不同，不受影响。
    drain_epoch       bigint
);
