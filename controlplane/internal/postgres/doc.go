// Package postgres 是唯一说 SQL 的地方：配置、节点与用量都经这里进出 PostgreSQL。
//
// # 职责
//
// 结构的迁移；配置的读、写、历史与通知；节点的状态；用量的入账与查询。SQL 写在 queries/ 里，由 sqlc 编成 sqlcgen。
//
// # 数据流
//
//	Connect（Migrate → Open）→ Unlock 用主密钥取出 pepper，此后配置可读可写
//	写配置：锁 config_head → 读出 catalog → mutate → 检查 → 只写变了的行、历史、版本 → NOTIFY → 提交
//	读配置：一个可重复读事务；stamp 没变就给出上次的值
//
// # 不变量
//
//   - 写配置都先锁 config_head 那一行：所有副本的写有全序，版本号连续，没有丢失的更新。
//   - 没有变化就没有新的一版；每一版都能由 object_history 重建。
//   - keys 的行从不删除：吊销过的 MAC 永远占着，不能再用。
//   - 上游凭证、带用户信息的代理地址与 pepper 只以密文落盘，绑着自己的表、行、列；key 只存 MAC。
//   - 通知只带版本号，且随事务提交；它只是提示，轮询才是保证。
//
// # 并发
//
// Store 的方法都可并发调用，Unlock 除外：它在别的协程用到 Store 之前调用一次。读到的 Catalog 共用，只读。
//
// # 失败时
//
// 数据库不应答是 vegaerr.Unavailable，事务整个作废，可以原样再试；提交时断线则写成与否不可知，重读即知。
// 主密钥对不上，Unlock 就失败，不会等到用的时候。
//
// # 不做什么
//
// 不判断配置合不合规（那是 catalog 与 ruleset 的事），不推送，不缓存用量。
package postgres
