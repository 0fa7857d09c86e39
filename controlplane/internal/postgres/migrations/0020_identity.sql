-- 操作员、会话、管理令牌、登录的节流与审计。
-- +goose Up

-- password_hash 为 NULL 的只能经 OIDC 登录；must_change_password 是一次性口令还没有换掉。version 每改一次加一，即 ETag；登录不算改。
CREATE TABLE operators (
    id                   uuid        PRIMARY KEY,
    name                 text        NOT NULL UNIQUE,
    role                 text        NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    enabled              boolean     NOT NULL,
    password_hash        text,
    must_change_password boolean     NOT NULL,
    oidc_issuer          text,
    oidc_subject         text,
    version              bigint      NOT NULL DEFAULT 1,
    created_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_login_at        timestamptz,
    UNIQUE (oidc_issuer, oidc_subject),
    CHECK ((oidc_issuer IS NULL) = (oidc_subject IS NULL))
);

-- token_hash 是 cookie 里那个随机值的 SHA-256：读得到这张表的人冒充不了谁。吊销即删行。
CREATE TABLE operator_sessions (
    id           uuid        PRIMARY KEY,
    token_hash   bytea       NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    operator_id  uuid        NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    method       text        NOT NULL CHECK (method IN ('password', 'oidc')),
    address      text        NOT NULL,
    user_agent   text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz NOT NULL
);
CREATE INDEX ON operator_sessions (operator_id, created_at);

-- owner_id 为 NULL 的不属于谁（引导令牌造的，或管理员为自动化造的）；有主的随主人一起消失，权限也不超过主人此刻的角色。
-- scopes 为空即角色许可的一切。
CREATE TABLE admin_tokens (
    id                uuid        PRIMARY KEY,
    name              text        NOT NULL UNIQUE,
    token_hash        bytea       NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    hint              text        NOT NULL,
    role              text        NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    scopes            text[]      NOT NULL,
    owner_id          uuid        REFERENCES operators (id) ON DELETE CASCADE,
    created_by        text        NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at        timestamptz,
    last_used_at      timestamptz,
    last_used_address text        NOT NULL DEFAULT ''
);
CREATE INDEX ON admin_tokens (owner_id);

-- 登录的失败，按账号与地址的散列分桶：桶有定数，猜多少名字、从多少地址来，这张表都长不过两倍的桶数。
CREATE TABLE login_tries (
    bucket   integer     PRIMARY KEY,
    failures integer     NOT NULL,
    free_at  timestamptz NOT NULL,
    last_at  timestamptz NOT NULL
);

-- 审计：只增。changes 与 GET /revisions/{n}/diff 同形，秘密只见末四位；revision 为 NULL 即没有动配置。
CREATE TABLE audit (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor      text        NOT NULL,
    actor_kind text        NOT NULL CHECK (actor_kind IN ('operator', 'token', 'bootstrap', 'anonymous', 'system')),
    address    text        NOT NULL,
    request_id text        NOT NULL,
    action     text        NOT NULL,
    object     text        NOT NULL,
    note       text        NOT NULL,
    changes    jsonb       NOT NULL,
    revision   bigint
);
CREATE INDEX ON audit (actor, id);
CREATE INDEX ON audit (at);
CREATE INDEX ON audit (actor, address, at) WHERE action = 'session.open';

-- +goose StatementBegin
CREATE FUNCTION refuse_audit_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit is append-only';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_rewrite();
