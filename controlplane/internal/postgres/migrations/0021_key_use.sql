-- 每把 key 最近一次用在何时，由用量入库时学到，精确到一分钟。
-- 没有外键：入库不等配置，已经吊销或删掉的 key 的用量照收。填充率留出空位，每分钟一次的更新不必动索引。
-- +goose Up
CREATE TABLE key_use (
    key_id       uuid        PRIMARY KEY,
    last_used_at timestamptz NOT NULL
) WITH (fillfactor = 70);
