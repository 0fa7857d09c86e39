-- name: ReadAdmissionLeader :one
SELECT
    holder, term, address,
    (extract(epoch FROM expires_at - clock_timestamp()) * 1000000)::bigint AS left_us,
    (extract(epoch FROM expires_at) * 1000000)::bigint AS expires_us
FROM admission_leader
WHERE name = @name;

-- name: AcquireAdmissionLeader :one
-- 空着、过期了、或本来就是自己的才拿得到；任期总是加一，且大于 at_least（节点见过的任期，数据库回到过去时它更大）。
-- 钟在拿到行锁之后才读：等锁的时间算在自己头上。
-- 数据库的钟往回拨过时 expires_at 可能在很远的将来：那一行仍是 stale_term、stale_us 的样子即可拿走，由争的人自己的钟说它没有人续了。
INSERT INTO admission_leader AS l (name, holder, term, expires_at, address)
VALUES (sqlc.arg(name), sqlc.arg(holder), sqlc.arg(at_least)::bigint + 1, clock_timestamp() + sqlc.arg(ttl_us)::bigint * interval '1 microsecond', sqlc.arg(address))
ON CONFLICT (name) DO UPDATE SET
    holder = EXCLUDED.holder, term = CASE WHEN l.term > sqlc.arg(at_least)::bigint THEN l.term ELSE sqlc.arg(at_least)::bigint END + 1, address = EXCLUDED.address,
    expires_at = clock_timestamp() + sqlc.arg(ttl_us)::bigint * interval '1 microsecond'
WHERE l.holder = '' OR l.holder = EXCLUDED.holder OR l.expires_at <= clock_timestamp()
    OR (l.term = sqlc.arg(stale_term)::bigint AND (extract(epoch FROM l.expires_at) * 1000000)::bigint = sqlc.arg(stale_us)::bigint)
RETURNING l.term;

-- name: RenewAdmissionLeader :execrows
UPDATE admission_leader SET expires_at = clock_timestamp() + sqlc.arg(ttl_us)::bigint * interval '1 microsecond'
WHERE name = sqlc.arg(name) AND holder = sqlc.arg(holder) AND term = sqlc.arg(term);

-- name: ReleaseAdmissionLeader :execrows
-- holder 清空：路上还有一次续期也不会把交出去的又续回来。
UPDATE admission_leader SET holder = '', expires_at = clock_timestamp()
WHERE name = @name AND holder = @holder AND term = @term;

-- name: SaveAdmissionMembers :one
-- 一条语句即一个事务：任期的检查握着那一行的共享锁直到提交，下一任要等这次写完；而客户端断在哪里都不会留下握着的锁。
-- 换了 epoch 的节点是回来了，从前要忘掉它的话不再算数。
WITH reign AS MATERIALIZED (
    SELECT term FROM admission_leader
    WHERE name = @name AND holder = @holder AND term = @term
    FOR SHARE
), saved AS (
    INSERT INTO admission_members AS m (node_id, epoch, instance, clear, share_version, shares, seen_at)
    SELECT r.node_id, r.epoch, r.instance, r.clear, r.share_version, r.shares, clock_timestamp() - r.silent_us * interval '1 microsecond'
    FROM reign, (
        SELECT
            unnest(@node_ids::text[]) AS node_id, unnest(@epochs::bigint[]) AS epoch, unnest(@instances::text[]) AS instance, unnest(@clear::boolean[]) AS clear,
            unnest(@share_versions::bigint[]) AS share_version, unnest(@shares::jsonb[]) AS shares,
            unnest(@silent_us::bigint[]) AS silent_us
    ) AS r
    ORDER BY r.node_id
    ON CONFLICT (node_id) DO UPDATE SET
        epoch = EXCLUDED.epoch, instance = EXCLUDED.instance, clear = EXCLUDED.clear, share_version = EXCLUDED.share_version,
        shares = EXCLUDED.shares, seen_at = EXCLUDED.seen_at,
        forgotten = m.forgotten AND m.epoch = EXCLUDED.epoch
)
SELECT EXISTS (SELECT 1 FROM reign)::boolean AS held;

-- name: DeleteAdmissionMembers :one
WITH reign AS MATERIALIZED (
    SELECT term FROM admission_leader
    WHERE name = @name AND holder = @holder AND term = @term
    FOR SHARE
), deleted AS (
    DELETE FROM admission_members USING reign WHERE node_id = ANY(@node_ids::text[])
)
SELECT EXISTS (SELECT 1 FROM reign)::boolean AS held;

-- name: TouchAdmissionMembers :one
-- 记下还听得见谁，并顺便给出没有行的与运维要忘掉的；连着的不会被忘掉，从前要忘掉它的话作废。
WITH reign AS MATERIALIZED (
    SELECT term FROM admission_leader
    WHERE name = @name AND holder = @holder AND term = @term
    FOR SHARE
), locked AS MATERIALIZED ( -- 照节点名的次序锁，写一块行的也是：两个同时来也不会互相等
    SELECT node_id FROM admission_members, reign WHERE node_id = ANY(@connected::text[])
    ORDER BY node_id FOR UPDATE OF admission_members
), touched AS (
    UPDATE admission_members AS m SET seen_at = clock_timestamp(), forgotten = false
    FROM locked WHERE m.node_id = locked.node_id
    RETURNING m.node_id
)
SELECT
    EXISTS (SELECT 1 FROM reign)::boolean AS held,
    ARRAY(SELECT c FROM unnest(@connected::text[]) AS c WHERE c NOT IN (SELECT node_id FROM touched) ORDER BY c)::text[] AS missing,
    ARRAY(SELECT node_id FROM admission_members WHERE forgotten AND node_id <> ALL(@connected::text[]) ORDER BY node_id)::text[] AS forgotten;

-- name: ListAdmissionMembers :many
SELECT
    node_id, epoch, instance, clear, share_version, shares,
    (extract(epoch FROM clock_timestamp() - seen_at) * 1000000)::bigint AS silent_us
FROM admission_members
ORDER BY node_id;
