// Package meter 从经过的应答字节里读出服务了多少：token 用量、事件数、流是否完整。
//
// 职责：JSON 应答的用量（json.go、usage.go）；SSE 流的旁路（stream.go、event.go、verdict.go）；
// 经过的生成的文字在哪、有多少，留一份有界的样（text.go、sample.go），给没有用量时数；
// 压缩应答的旁路与解压（encoding.go、tap.go）。
//
// 数据流：proxy 每读到一段上游字节就交给 Stream.Feed，拿回现在该传给客户端的字节；压缩的先过 Tap，
// Tap 把解出的交给同一个 Stream。上游结束后 Finish 给出结论，gateway 据此关账、决定客户端的连接是否要异常结束。
//
// 不变量：不剥用量块时，传出的就是读到的那段，一个字节不改、一刻不等；剥的时候，少的恰好是 choices 为空且 usage 为对象的
// 事件，别的逐字节不变。把同样的字节切成任意几段喂，传出的总和与结论都相同。用量是累计值，后来的逐项替换先来的，从不相加。
// 稳定之后每段不分配内存。
//
// 并发：Stream 与 Tap 属于一个请求，不可并发使用；Pool 可以。Tap 里的解压器跑在协程上，只在 Feed、Finish、Close 之内执行。
//
// 失败时：读不懂的用量等于没有；太大的事件不解析，只记 Oversized；解压失败或膨胀过度只让计量作废，不影响传输。
//
// 不做什么：不读写连接，不记账，不数 token（tokens 的事），不判断价格，不改写应答里的任何值。
package meter
