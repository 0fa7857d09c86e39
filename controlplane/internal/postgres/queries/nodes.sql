-- name: SaveNodes :many
-- 写下本副本各条流的状态，返回仍归它们的那些。一行归谁：同一条流；更晚建立的流；
-- 或者原主已断开、已 10 秒无音讯时的任何活着的流。行按 id 排好序传入，因此两个副本不会互锁。
INSERT INTO nodes AS n (
    id, epoch, version, replica, session, connected, connected_at, last_seen,
    applied_revision, applied_digest, rejected_revision, rejected_reason,
    in_flight, waiting, unreported, draining, ejections, reported_error, journal
)
SELECT
    unnest(@ids::text[]), unnest(@epochs::bigint[]), unnest(@versions::text[]), @replica::text,
    unnest(@sessions::bigint[]), unnest(@connected::boolean[]), unnest(@connected_at::timestamptz[]),
    now() - unnest(@silent_ms::bigint[]) * interval '1 millisecond',
    unnest(@applied_revisions::bigint[]), unnest(@applied_digests::bytea[]),
    unnest(@rejected_revisions::bigint[]), unnest(@rejected_reasons::text[]),
    unnest(@in_flight::bigint[]), unnest(@waiting::bigint[]), unnest(@unreported::bigint[]),
    unnest(@draining::boolean[]), unnest(@ejections::jsonb[]), unnest(@reported_errors::text[]),
    unnest(@journals::jsonb[])
ON CONFLICT (id) DO UPDATE SET
    epoch = EXCLUDED.epoch, version = EXCLUDED.version, replica = EXCLUDED.replica, session = EXCLUDED.session,
    connected = EXCLUDED.connected, connected_at = EXCLUDED.connected_at, last_seen = EXCLUDED.last_seen,
    applied_revision = EXCLUDED.applied_revision, applied_digest = EXCLUDED.applied_digest,
    rejected_revision = EXCLUDED.rejected_revision, rejected_reason = EXCLUDED.rejected_reason,
    in_flight = EXCLUDED.in_flight, waiting = EXCLUDED.waiting, unreported = EXCLUDED.unreported,
    draining = EXCLUDED.draining, ejections = EXCLUDED.ejections, reported_error = EXCLUDED.reported_error,
    journal = EXCLUDED.journal
WHERE n.session = EXCLUDED.session
    OR n.connected_at < EXCLUDED.connected_at
    OR (EXCLUDED.connected AND (NOT n.connected OR n.last_seen < now() - interval '10 seconds'))
RETURNING n.session, COALESCE(n.drain_epoch = n.epoch, false)::boolean AS drain;

-- name: ListNodes :many
-- connected 以数据库的钟计算：副本死了来不及写，10 秒后就不算连着。
SELECT
    id, epoch, version, replica,
    (connected AND last_seen >= now() - interval '10 seconds')::boolean AS live,
    connected_at, last_seen, applied_revision, applied_digest, rejected_revision, rejected_reason,
    in_flight, waiting, unreported, draining, ejections, reported_error, journal
FROM nodes
ORDER BY id;

-- name: ForgetNode :one
-- 准入的成员同时做上记号：它占着的份额由当任的授予者收回，那一行也由它删去。在别的目录上被接替的前几次运行（名@epoch）也一样。
WITH gone AS (
    DELETE FROM nodes
    WHERE id = @id AND NOT (connected AND last_seen >= now() - interval '10 seconds')
    RETURNING id
), marked AS (
    UPDATE admission_members SET forgotten = true FROM gone WHERE node_id = gone.id OR starts_with(node_id, gone.id || '@')
)
SELECT count(*)::bigint AS forgotten FROM gone;

-- name: RequestNodeDrain :execrows
UPDATE nodes SET drain_epoch = epoch
WHERE id = @id AND connected AND last_seen >= now() - interval '10 seconds';

-- name: NodeExists :one
SELECT EXISTS (SELECT 1 FROM nodes WHERE id = @id)::boolean;
