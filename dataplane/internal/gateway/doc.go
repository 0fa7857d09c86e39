// Package gateway 是一个请求走的路；次序只写在这里（gateway.go 一页）。
//
// 职责：把 auth、dialect、admit、route、proxy、meter 串起来；重试与回退的表（retry.go）；
// 应答怎么交给客户端（answer.go、buffered.go、stream.go、through.go，写的期限与断开在 write.go）；记账（account.go）；每个请求一行访问日志与指标。
//
// 数据流：
//
//	httpapi → Serve → identify → readBody → inspect → resolve → ( admit → forward → judge )* → answer → journal.Close
//
// 到达时取一次 *state.State，等待之后再取一次；第一个上游字节之后什么都不变。
//
// 不变量：
//   - 每个请求恰好一个结局：至少到过一次上游的记一条 usagev1.Request，否则记一次 Refuse。
//   - 记下的 attempts 与上游的账本逐笔相等：只数字节到了对方的调用，编号从 1 连续。
//   - 只要有一个字节去了客户端，就不再重试；截断的应答让客户端的连接异常结束，绝不补 [DONE]。
//   - 上游的头到 commit 才过滤给客户端：在那之前改答的错误不沾它们。
//   - 许可、健康凭据、请求体、上游连接在 end 里总被归还，panic 也一样。
//   - 请求体的缓冲在 Transport 用完每一份借出之后才回池。
//
// 并发：Gateway 可并发使用；exchange 归处理它的那一个协程，池化复用。除 net/http 自己的以外不起协程。
//
// 失败时：我们的错误一律 OpenAI 形式，未知错误只给请求号；日志里的原因不出进程。
//
// 不做什么：不认识 Echo，不执行限额（admit 的下一步），不数 token（只读上游报告的）。
//
// 已定的几处：
//   - 一个请求至多 3 次尝试；还有没试过的回退模型时，前一个模型至多用掉 2 次，使回退总有机会。
//   - 上游 401 先换别的目标（它被立即摘出），没有别的才答 502 upstream_auth_failed。
//   - stream_options 引出的 400 也算一次尝试：连同重来的至多 3 次。
//   - HTTP/1.0 的客户端靠关连接知道体的结束，截断以 RST 断开，否则与写完分不开。
//   - 应答头随首个体字节一起给客户端：在那之前的断开与超时仍能答成 502、504，并且头与首块是一次写。
//   - 回退模型由运维在模型上配置，不再问 app 的准许名单；问的是它点名的那个。
//   - 首个应答字节之前断开的新连接，与过期连接同样可重试；已收到应答头之后断开的不重试。
//   - journal.Open 在得知确有字节到达上游时调用：没有尝试的请求没有 Close 可配。
package gateway
