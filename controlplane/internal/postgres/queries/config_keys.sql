-- name: ListKeys :many
SELECT id, app, name, mac, hint, created_at, created_revision, expires_at, detached_revision
FROM keys WHERE revoked_revision IS NULL;

-- name: ListKeysByID :many
SELECT id, mac, hint, created_at, created_revision FROM keys WHERE id = ANY(@ids::uuid[]);

-- name: FindRevokedMACs :many
SELECT mac FROM keys WHERE mac = ANY(@macs::bytea[]) AND revoked_revision IS NOT NULL;

-- 期限为 epoch 表示不过期：带 NULL 的数组写不成 Go 的 []time.Time。
-- name: PutKeys :exec
INSERT INTO keys (id, app, name, mac, hint, created_at, created_revision, expires_at)
SELECT p.id, p.app, p.name, p.mac, p.hint, p.created_at, @revision::bigint, nullif(p.expires_at, 'epoch'::timestamptz)
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@apps::text[]) AS app, unnest(@names::text[]) AS name, unnest(@macs::bytea[]) AS mac,
             unnest(@hints::text[]) AS hint, unnest(@created_at::timestamptz[]) AS created_at,
             unnest(@expires_at::timestamptz[]) AS expires_at) AS p
ON CONFLICT (id) DO UPDATE
SET app = excluded.app, name = excluded.name, expires_at = excluded.expires_at, detached_revision = NULL;

-- name: DetachKeys :exec
UPDATE keys SET detached_revision = @revision::bigint WHERE id = ANY(@ids::uuid[]);

-- name: RevokeKeys :exec
UPDATE keys SET revoked_revision = @revision::bigint WHERE id = ANY(@ids::uuid[]);
