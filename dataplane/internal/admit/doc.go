// Package admit 让一个请求等到它的模型有任何一个目标可以开始，并发给它一张许可。
//
// 职责：数在途与在等的（每个 server 与合计，供 /nodes 与指标）；记着被上游 429 的目标暂停到何时；
// 让请求等到暂停结束或自己的期限。
//
// 数据流：gateway 造一个 Ask（候选、到达、期限）→ Gate.Acquire → Permit（挑中的目标）→ 应答体结束时 Release。
// 重试与回退先还许可再来要；它们带着原来的到达与期限。
//
// 不变量：
//   - 请求等的是“候选里的任何一个”，不是一个先挑好的 server；挑选发生在发许可的那一刻。
//   - 每张许可恰好释放一次，重复释放无害；Leaks 是发出减去归还，静下来时必为零。
//   - 被摘出、停用、试过的目标不等。
//   - 暂停以 TargetID 加 Server.Identity 为键：地址或凭证变了就不作数。
//
// 并发：一把锁守着全部计数与暂停，锁内只做内存里的事；挑选的回调在锁内被调用，不可再回到 Gate。
//
// 失败时：到期答 queue_timeout，到达时就知道等不到答 queue_full，没有值得等的目标答 no_server_available，客户端走了答 canceled。
//
// 不做什么：本包还不执行 server 与 app 的限额（max_concurrency、requests、tokens），也不跨节点排队；
// 那是许可协议的事，它换掉的是 Gate 的里面，Ask 与 Permit 的形状不变。暂停也只在本节点。
package admit
