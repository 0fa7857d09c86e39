-- +goose Up
-- 节点的用量记录此刻落在哪里，节点自己说的；JSON null 即没有说。
ALTER TABLE nodes ADD COLUMN journal jsonb NOT NULL DEFAULT 'null';
