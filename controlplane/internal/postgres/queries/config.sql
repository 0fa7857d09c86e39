-- name: GetInstallation :one
SELECT id, key_pepper FROM installation;

-- name: CreateInstallation :exec
INSERT INTO installation (key_pepper) VALUES (@key_pepper) ON CONFLICT DO NOTHING;

-- name: GetHead :one
SELECT revision, stamp FROM config_head;

-- name: LockHead :one
SELECT revision, stamp FROM config_head FOR UPDATE;

-- name: MoveHead :one
UPDATE config_head SET revision = @revision, stamp = gen_random_uuid(), updated_at = clock_timestamp()
RETURNING stamp;

-- name: NotifyConfig :exec
SELECT pg_notify('vega_config', @revision::text);

-- name: CreateRevision :exec
INSERT INTO revisions (number, actor, note, summary) VALUES (@number, @actor, @note, @summary);

-- name: GetRevision :one
SELECT number, created_at, actor, note, summary FROM revisions WHERE number = @number;

-- name: ListRevisions :many
SELECT number, created_at, actor, note, summary FROM revisions
WHERE number < @before ORDER BY number DESC LIMIT @most;

-- name: ListObjects :many
SELECT kind, name, spec, version FROM objects;

-- name: ListCredentials :many
SELECT server, id, sealed, hint FROM server_credentials;
