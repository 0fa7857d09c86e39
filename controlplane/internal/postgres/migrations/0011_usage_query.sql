-- 用量的查询要的索引：合计按时间段取所有的名字，天按应用、按服务器取。这些键写下之后不再变，roller 只在新的一行上多写一笔。
-- +goose Up
CREATE INDEX ON usage_hour_by (dim, bucket);
CREATE INDEX ON usage_day_by (dim, bucket);
CREATE INDEX ON usage_day (app, bucket);
CREATE INDEX ON usage_day (server, bucket);

-- sum(bigint) 在 numeric 上累加，每组每栏都要分配、换算；各栏之和装得下 bigint，装不下就报错而不是绕回去。
CREATE AGGREGATE usage_sum(bigint) (SFUNC = int8pl, STYPE = bigint, INITCOND = '0', COMBINEFUNC = int8pl, PARALLEL = SAFE);
