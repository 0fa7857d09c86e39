-- +goose Up
-- 节点独占着的数据目录的编号；空即不知道。同一节点名在别的目录上的后一次运行说明不了前一次已经结束，
-- 前一次于是改名为“节点名@epoch”，另占一行。
ALTER TABLE admission_members ADD COLUMN instance text NOT NULL DEFAULT '';
