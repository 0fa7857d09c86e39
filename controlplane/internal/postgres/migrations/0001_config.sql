-- 配置：现在的样子、每一版的历史、key 与上游凭证。
-- +goose Up

-- 这一套安装的身份，只有一行。key_pepper 由主密钥封着：主密钥不对，启动时就打不开它。
CREATE TABLE installation (
    one        boolean     PRIMARY KEY DEFAULT true CHECK (one),
    id         uuid        NOT NULL DEFAULT gen_random_uuid(),
    key_pepper bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- 最新的版本号，只有一行；每次写配置先锁它，于是所有副本的写有全序。
-- stamp 每写一次换一个：数据库被恢复到过去再写，同号的版本也认得出是另一份内容。手工改了下面的表，也要换掉它。
CREATE TABLE config_head (
    one        boolean     PRIMARY KEY DEFAULT true CHECK (one),
    revision   bigint      NOT NULL DEFAULT 0,
    stamp      uuid        NOT NULL DEFAULT gen_random_uuid(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO config_head DEFAULT VALUES;

CREATE TABLE revisions (
    number     bigint      PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor      text        NOT NULL,
    note       text        NOT NULL,
    summary    text        NOT NULL
);

-- 现在的 server、model、app。version 是最近一次变化的版本号（凭证与 key 的变化也算），即 ETag。
CREATE TABLE objects (
    kind    text   NOT NULL CHECK (kind IN ('server', 'model', 'app')),
    name    text   NOT NULL,
    spec    jsonb  NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (kind, name)
);

-- 每次变化一行，spec 为 NULL 即从这一版起没有了；由它可以重建任何一版。
-- kind 为 key 时 name 是 key 的 id，spec 是它的 app、名字与期限；kind 为 credential 时 name 是 server 名，spec 不含秘密。
CREATE TABLE object_history (
    kind     text   NOT NULL CHECK (kind IN ('server', 'model', 'app', 'key', 'credential')),
    name     text   NOT NULL,
    revision bigint NOT NULL REFERENCES revisions (number),
    spec     jsonb,
    PRIMARY KEY (kind, name, revision)
);

-- 行从不删除：mac 的唯一性让被吊销的 secret 永远不能再用。
-- 活着的：两个 revision 都是 NULL；脱落的（随 app 消失）：只有 detached_revision。
CREATE TABLE keys (
    id                uuid        PRIMARY KEY,
    app               text        NOT NULL,
    name              text        NOT NULL,
    mac               bytea       NOT NULL UNIQUE CHECK (length(mac) = 32),
    hint              text        NOT NULL,
    created_at        timestamptz NOT NULL,
    created_revision  bigint      NOT NULL,
    expires_at        timestamptz,
    detached_revision bigint,
    revoked_revision  bigint
);
CREATE UNIQUE INDEX keys_live_name ON keys (app, name) WHERE detached_revision IS NULL AND revoked_revision IS NULL;
CREATE INDEX keys_not_revoked ON keys (id) WHERE revoked_revision IS NULL;

-- 上游凭证，由主密钥封着，附加数据是表、行（server）与列。server 已经没有了的是脱落的，只有回滚能认领。
CREATE TABLE server_credentials (
    server text  PRIMARY KEY,
    id     uuid  NOT NULL,
    sealed bytea NOT NULL,
    hint   text  NOT NULL
);
