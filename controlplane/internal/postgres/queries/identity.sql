-- name: LockOperators :exec
SELECT pg_advisory_xact_lock(hashtext('vega.operators'));

-- name: ListOperators :many
SELECT id, name, role, enabled, password_hash, must_change_password, oidc_issuer, oidc_subject, version, created_at, last_login_at
FROM operators ORDER BY name;

-- name: GetOperator :one
SELECT id, name, role, enabled, password_hash, must_change_password, oidc_issuer, oidc_subject, version, created_at, last_login_at
FROM operators WHERE name = @name;

-- name: GetOperatorBySubject :one
SELECT id, name, role, enabled, password_hash, must_change_password, oidc_issuer, oidc_subject, version, created_at, last_login_at
FROM operators WHERE oidc_issuer = @issuer AND oidc_subject = @subject;

-- name: OperatorName :one
SELECT name FROM operators WHERE id = @id;

-- name: OperatorsExist :one
SELECT EXISTS (SELECT 1 FROM operators)::boolean;

-- name: CountOtherAdmins :one
SELECT count(*)::bigint FROM operators WHERE role = 'admin' AND enabled AND id <> @id;

-- name: CreateOperator :exec
INSERT INTO operators (id, name, role, enabled, password_hash, must_change_password, oidc_issuer, oidc_subject)
VALUES (@id, @name, @role, @enabled, sqlc.narg('password_hash'), @must_change_password, sqlc.narg('oidc_issuer'), sqlc.narg('oidc_subject'));

-- name: UpdateOperator :exec
UPDATE operators SET role = @role, enabled = @enabled, password_hash = sqlc.narg('password_hash'),
    must_change_password = @must_change_password, version = version + 1
WHERE id = @id;

-- name: RehashPassword :exec
UPDATE operators SET password_hash = @password_hash WHERE id = @id AND version = @version;

-- name: DeleteOperator :exec
DELETE FROM operators WHERE id = @id;

-- name: MarkLogin :execrows
UPDATE operators SET last_login_at = clock_timestamp() WHERE id = @id AND enabled AND version = @version;

-- name: AddSession :one
INSERT INTO operator_sessions (id, token_hash, operator_id, method, address, user_agent, expires_at)
VALUES (@id, @token_hash, @operator_id, @method, @address, @user_agent, clock_timestamp() + make_interval(secs => @lifetime_seconds::float8))
RETURNING expires_at;

-- name: TrimSessions :exec
DELETE FROM operator_sessions s WHERE s.operator_id = @operator_id AND s.id NOT IN (
    SELECT k.id FROM operator_sessions k WHERE k.operator_id = @operator_id ORDER BY k.created_at DESC LIMIT @keep);

-- name: FindSession :one
SELECT s.id, s.operator_id, s.method, s.expires_at, o.name, o.role, o.must_change_password,
    (s.last_seen_at < clock_timestamp() - make_interval(secs => @touch_seconds::float8))::boolean AS stale
FROM operator_sessions s JOIN operators o ON o.id = s.operator_id
WHERE s.token_hash = @token_hash AND o.enabled AND s.expires_at > clock_timestamp()
    AND s.last_seen_at > clock_timestamp() - make_interval(secs => @idle_seconds::float8);

-- name: TouchSession :exec
UPDATE operator_sessions SET last_seen_at = clock_timestamp() WHERE id = @id;

-- name: ListSessions :many
SELECT s.id, s.operator_id, o.name, s.method, s.address, s.user_agent, s.created_at, s.last_seen_at, s.expires_at
FROM operator_sessions s JOIN operators o ON o.id = s.operator_id
WHERE (sqlc.narg('operator_id')::uuid IS NULL OR s.operator_id = sqlc.narg('operator_id')) AND s.expires_at > clock_timestamp()
    AND s.last_seen_at > clock_timestamp() - make_interval(secs => @idle_seconds::float8)
ORDER BY s.last_seen_at DESC, s.id LIMIT 1000;

-- name: EndSession :one
DELETE FROM operator_sessions s
WHERE s.id = @id AND (sqlc.narg('operator_id')::uuid IS NULL OR s.operator_id = sqlc.narg('operator_id'))
RETURNING (SELECT o.name FROM operators o WHERE o.id = s.operator_id);

-- name: EndSessionByHash :exec
DELETE FROM operator_sessions WHERE token_hash = @token_hash;

-- name: EndSessions :execrows
DELETE FROM operator_sessions WHERE operator_id = @operator_id AND id IS DISTINCT FROM sqlc.narg('except')::uuid;

-- name: PurgeSessions :execrows
DELETE FROM operator_sessions
WHERE expires_at <= clock_timestamp() OR last_seen_at <= clock_timestamp() - make_interval(secs => @idle_seconds::float8);

-- name: AddToken :exec
INSERT INTO admin_tokens (id, name, token_hash, hint, role, scopes, owner_id, created_by, expires_at)
VALUES (@id, @name, @token_hash, @hint, @role, @scopes, sqlc.narg('owner_id'), @created_by, sqlc.narg('expires_at'));

-- name: FindToken :one
SELECT t.id, t.name, t.hint, t.role, t.scopes, t.owner_id, COALESCE(o.name, '') AS owner, o.role AS owner_role, t.created_by, t.created_at,
    t.expires_at, t.last_used_at, t.last_used_address,
    (t.last_used_at IS NULL OR t.last_used_at < clock_timestamp() - interval '1 minute')::boolean AS stale
FROM admin_tokens t LEFT JOIN operators o ON o.id = t.owner_id
WHERE t.token_hash = @token_hash AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp()) AND (t.owner_id IS NULL OR o.enabled);

-- name: TouchToken :exec
UPDATE admin_tokens SET last_used_at = clock_timestamp(), last_used_address = @address WHERE id = @id;

-- name: ListTokens :many
SELECT t.id, t.name, t.hint, t.role, t.scopes, t.owner_id, COALESCE(o.name, '') AS owner, t.created_by, t.created_at, t.expires_at, t.last_used_at, t.last_used_address
FROM admin_tokens t LEFT JOIN operators o ON o.id = t.owner_id
WHERE sqlc.narg('owner_id')::uuid IS NULL OR t.owner_id = sqlc.narg('owner_id')
ORDER BY t.name;

-- name: DeleteToken :one
DELETE FROM admin_tokens WHERE id = @id AND (sqlc.narg('owner_id')::uuid IS NULL OR owner_id = sqlc.narg('owner_id'))
RETURNING name;

-- name: AddTries :exec
INSERT INTO login_tries (bucket, failures, free_at, last_at)
SELECT unnest(@buckets::integer[]), 0, 'epoch', 'epoch'
ON CONFLICT DO NOTHING;

-- name: LockTries :many
SELECT bucket, failures, free_at, last_at, clock_timestamp()::timestamptz AS now
FROM login_tries WHERE bucket = ANY(@buckets::integer[]) ORDER BY bucket FOR UPDATE;

-- name: SaveTries :exec
UPDATE login_tries SET failures = @failures, free_at = @free_at, last_at = @last_at WHERE bucket = @bucket;

-- name: ForgetTries :exec
DELETE FROM login_tries WHERE bucket = @bucket;

-- name: RefundTries :exec
UPDATE login_tries SET failures = greatest(failures - 1, 0), free_at = 'epoch'
WHERE bucket IN (SELECT t.bucket FROM login_tries t WHERE t.bucket = ANY(@buckets::integer[]) ORDER BY t.bucket FOR UPDATE);

-- name: PurgeTries :execrows
DELETE FROM login_tries WHERE last_at < clock_timestamp() - make_interval(secs => @forget_seconds::float8);

-- name: LoggedInFrom :one
-- prefix 为空则只看 address。存下的地址带着网卡名（fe80::1%eth0）的，去掉它再比。
SELECT EXISTS (
    SELECT 1 FROM audit WHERE action = 'session.open' AND actor = @actor AND at > clock_timestamp() - interval '30 days' AND (
        address = @address
        OR CASE WHEN address ~ '^[0-9a-f:]*:[0-9a-f:]*(%.*)?$' THEN split_part(address, '%', 1)::inet <<= nullif(@prefix::text, '')::inet END
    )
)::boolean;

-- name: AddAudit :exec
INSERT INTO audit (actor, actor_kind, address, request_id, action, object, note, changes, revision)
VALUES (@actor, @actor_kind, @address, @request_id, @action, @object, @note, @changes, sqlc.narg('revision'));

-- name: ListAudit :many
SELECT id, at, actor, actor_kind, address, request_id, action, object, note, changes, revision
FROM audit
WHERE id < @before
    AND (@actor::text = '' OR actor = @actor)
    AND (@action::text = '' OR action = @action OR starts_with(action, @action || '.'))
    AND (@object::text = '' OR starts_with(object, @object))
    AND (@address::text = '' OR address = @address)
    AND (sqlc.narg('since')::timestamptz IS NULL OR at >= sqlc.narg('since'))
    AND (sqlc.narg('until')::timestamptz IS NULL OR at < sqlc.narg('until'))
ORDER BY id DESC LIMIT @most;
