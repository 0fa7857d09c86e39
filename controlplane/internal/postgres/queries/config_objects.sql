-- name: PutObjects :exec
INSERT INTO objects (kind, name, spec, version)
SELECT p.kind, p.name, p.spec::jsonb, @version::bigint
FROM (SELECT unnest(@kinds::text[]) AS kind, unnest(@names::text[]) AS name, unnest(@specs::text[]) AS spec) AS p
ON CONFLICT (kind, name) DO UPDATE SET spec = excluded.spec, version = excluded.version;

-- name: TouchObjects :exec
UPDATE objects AS o SET version = @version::bigint
FROM (SELECT unnest(@kinds::text[]) AS kind, unnest(@names::text[]) AS name) AS p
WHERE o.kind = p.kind AND o.name = p.name;

-- name: DropObjects :exec
DELETE FROM objects AS o
USING (SELECT unnest(@kinds::text[]) AS kind, unnest(@names::text[]) AS name) AS p
WHERE o.kind = p.kind AND o.name = p.name;

-- 规格为空串即没有了。
-- name: AddHistory :exec
INSERT INTO object_history (kind, name, revision, spec)
SELECT p.kind, p.name, @revision::bigint, nullif(p.spec, '')::jsonb
FROM (SELECT unnest(@kinds::text[]) AS kind, unnest(@names::text[]) AS name, unnest(@specs::text[]) AS spec) AS p;

-- 某一版时还在的每一样东西。
-- name: ListHistoryAt :many
SELECT h.kind, h.name, h.revision, h.spec
FROM (SELECT DISTINCT ON (kind, name) kind, name, revision, spec
      FROM object_history WHERE revision <= @revision::bigint
      ORDER BY kind, name, revision DESC) AS h
WHERE h.spec IS NOT NULL;

-- name: PutCredential :exec
INSERT INTO server_credentials (server, id, sealed, hint) VALUES (@server, @id, @sealed, @hint)
ON CONFLICT (server) DO UPDATE SET id = excluded.id, sealed = excluded.sealed, hint = excluded.hint;

-- name: DropCredentials :exec
DELETE FROM server_credentials WHERE server = ANY(@servers::text[]);
