// Package postgres 是唯一说 SQL 的地方：配置、节点、准入与用量都经这里进出 PostgreSQL。
//
// # 职责
//
// 结构的迁移；配置的读、写、历史与通知；节点的状态；准入的当任者与成员；用量的入账、并级、分区、保留期与查询；设置。SQL 写在 queries/ 里，由 sqlc 编成 sqlcgen。
//
// # 数据流
//
//	Connect（Migrate → Open）→ Unlock 用主密钥取出 pepper，此后配置可读可写
//	写配置：锁 config_head → 读出 catalog → mutate → 检查 → 只写变了的行、历史、版本 → NOTIFY → 提交
//	读配置：一个可重复读事务；stamp 没变就给出上次的值
//	当任：admission_leader 的一行以数据库的钟争、续、交出，每次换任 term 加一
//	成员：admission_members 一个节点一行，记着它的 epoch、手上是不是一定没有许可、可能在用的份额；新当任者由此知道该等谁
//	入账：锁自己那一行游标 → COPY 进 usage_delta → 推进 → 提交；并级：咨询锁 → 删增量 → 读旧直方图 → upsert 各级 → 提交
//
// # 不变量
//
//   - 写配置都先锁 config_head 那一行：所有副本的写有全序，版本号连续，没有丢失的更新。
//   - 没有变化就没有新的一版；每一版都能由 object_history 重建。
//   - keys 的行从不删除：吊销过的 MAC 永远占着，不能再用。
//   - 上游凭证、带用户信息的代理地址与 pepper 只以密文落盘，绑着自己的表、行、列；key 只存 MAC。
//   - 通知只带版本号，且随事务提交；它只是提示，轮询才是保证。
//   - 成员只有任期还在自己手上的当任者写得进去：同一条语句里核对 holder 与 term。例外是 forgotten，由 ForgetNode 与删节点同时做上，
//     当任者看见之后删去那一行。
//   - epoch 与 share_version 是无符号 64 位数，按位存成 bigint，不可在 SQL 里比大小。
//
// # 并发
//
// Store 的方法都可并发调用，Unlock 除外：它在别的协程用到 Store 之前调用一次。读到的 Catalog 共用，只读。
// 准入的两张表另走几条连接（Admission）：续期不排在入账与写配置之后，否则数据库一忙就换任。
//
// # 失败时
//
// 数据库不应答是 vegaerr.Unavailable，事务整个作废，可以原样再试；提交时断线则写成与否不可知，重读即知。
// 当任者那一行够不着也是 Unavailable，由 admission 退位。
// 主密钥对不上，Unlock 就失败，不会等到用的时候。
//
// # 不做什么
//
// 不判断配置合不合规（那是 catalog 与 ruleset 的事），不推送，不缓存用量。
package postgres
