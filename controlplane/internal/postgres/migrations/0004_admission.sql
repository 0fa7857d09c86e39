-- +goose Up
-- 当任的授予者：一行。时刻全是数据库的钟；holder 为空即已经交出。
CREATE TABLE admission_leader (
    name       text PRIMARY KEY CHECK (name <> ''),
    holder     text        NOT NULL,
    -- term 每次换任（包括同一个进程再次当选）加一，从不变小。
    term       bigint      NOT NULL CHECK (term > 0),
    expires_at timestamptz NOT NULL,
    -- address 是节点怎样连到它；为空即没有可以告诉人的地址。
    address    text        NOT NULL
);

-- 可能持有许可或份额的节点；只有当任者写，forgotten 除外。epoch 与 share_version 是无符号 64 位数按位存成 bigint。
CREATE TABLE admission_members (
    node_id       text PRIMARY KEY CHECK (node_id <> ''),
    epoch         bigint      NOT NULL,
    -- clear 说它确定什么许可也没有。
    clear         boolean     NOT NULL,
    share_version bigint      NOT NULL,
    shares        jsonb       NOT NULL,
    seen_at       timestamptz NOT NULL,
    -- forgotten 说运维要忘掉它；当任者看见之后删去这一行。
    forgotten     boolean     NOT NULL DEFAULT false
);
