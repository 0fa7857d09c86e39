// Package dialect 知道 OpenAI 格式的请求与应答长什么样，并只按字节改写它们。
//
// 职责：端点表与路径检查（endpoint.go、path.go）；一遍扫描请求体取出网关要看的键（peek.go、multipart.go），
// 按偏移拼接改写（rewrite.go）；请求头与应答头的去留（header.go）；OpenAI 形式的错误体与原因表（errors.go）；
// 重试表要用的识别器（recognise.go）。
//
// 不变量：除被改写的值之外，请求体逐字节不变；被看的键重复或仅大小写不同一律拒绝，
// 否则网关与上游会读出两个不同的模型（解析差异攻击）。
//
// 并发：全是纯函数，没有状态；Envelope 归调用者所有，同一时刻只能一处使用。
//
// 失败时：输入不合规矩返回带 invalid_json 或 invalid_request 的 *vegaerr.Error，不返回一半的结果。
//
// 不做什么：不读套接字，不认识 Echo 与 net/http 的服务端，不决定重试与路由。
package dialect
