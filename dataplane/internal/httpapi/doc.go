// Package httpapi 是公开监听：路由、跨域与连接数的上限；Echo 只在这里出现。
//
// 职责：把 dialect 的端点表变成路由，交给 gateway；不认识的路径与方法答 OpenAI 形式的 404、405；
// CORS 预检；/healthz；造 http.Server；在描述符用尽之前干净地拒绝连接。
//
// 数据流：Limit（监听者）→ http.Server → 跨域 → Echo 路由 → gateway.Serve（拿到的是底层的 ResponseWriter）。
//
// 不变量：
//   - 应答截断时的 http.ErrAbortHandler 一路传到 net/http，没有谁吞掉它；所以不用 Echo 的 Recover。
//   - WriteTimeout 只管到第一次写：流可以很长，写期限由 gateway 逐次续。
//   - 每个客户端连接可能要一个上游连接，所以客户端连接的上限是（描述符上限 − 预留）/ 2。
//
// 并发：造好之后只读；Limit 的计数是原子的。
//
// 失败时：超过上限的连接得到一个 503（Retry-After: 1、Connection: close），写它有期限、有并发上限，写不完就直接关。
//
// 不做什么：不认钥匙，不读请求体，不出指标。
package httpapi
