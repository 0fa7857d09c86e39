-- 逐条请求的索引，只留值得每次插入都付钱的。
-- 恰好一次由游标保证，不靠主键：多一条唯一约束只多一种让整批永远进不来的办法。
-- 时间与 app 的索引不带 id：同一毫秒的行由读的时候排，索引因而小四成。其余的筛选按时间倒着看，看多少行有上限。
-- 客户端自己的请求号用 B 树：人人都可以总写同一个号，散列索引的同一个桶会越插越慢。
-- +goose Up
ALTER TABLE usage_request DROP CONSTRAINT usage_request_pkey;
DROP INDEX usage_request_app_ended_at_id_idx;
CREATE INDEX usage_request_ended ON usage_request (ended_at);
CREATE INDEX usage_request_app ON usage_request (app, ended_at);
CREATE INDEX usage_request_client ON usage_request (client_request_id, ended_at) WHERE client_request_id <> '';
