-- 保留期：哪一级从何时起还留着。
-- +goose Up

-- floor 只往前走，与删分区在同一个事务里：更早的行不再写进这一级（天的合计则进 usage_retired），
-- 因此一级在 floor 之后总是齐全的，调长保留期也不会让它从半截开始。
CREATE TABLE usage_floor (
    level text        PRIMARY KEY,
    floor timestamptz NOT NULL
);

-- 逐条的请求没有赶上建分区的（停了很久之后迟到的），落在这里：入库从不因为少一个分区而失败。
CREATE TABLE usage_request_default PARTITION OF usage_request DEFAULT;

-- 增量进得快去得也快，不等它按比例长大才清扫。
ALTER TABLE usage_delta SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
