-- 按 key 的次序上锁：同时入库的几批不会互锁。后到的旧用量不让时刻倒退。
-- name: TouchKeys :exec
INSERT INTO key_use (key_id, last_used_at)
SELECT p.key_id, p.used_at
FROM (SELECT unnest(@ids::uuid[]) AS key_id, unnest(@used_at::timestamptz[]) AS used_at) AS p
ORDER BY p.key_id
ON CONFLICT (key_id) DO UPDATE
SET last_used_at = excluded.last_used_at
WHERE key_use.last_used_at < excluded.last_used_at;

-- name: ListKeyUse :many
SELECT key_id, last_used_at FROM key_use WHERE key_id = ANY(@ids::uuid[]);
