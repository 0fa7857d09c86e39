-- name: LoadSettings :one
SELECT document, version FROM settings;

-- name: LockSettings :one
SELECT document, version FROM settings FOR UPDATE;

-- name: SaveSettings :one
UPDATE settings SET document = @document, version = version + 1, updated_at = now()
RETURNING version;
