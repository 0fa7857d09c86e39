// Package stack 在本机起真的 Vega 二进制：make run、端到端测试、性能与证明都用它。
//
// 职责：构建二进制，起、杀、停、重启进程并等它就绪，经管理 API 说话，读进程的 CPU 与内存。
// 数据流：Build → Start(Options) → *Stack（上游、控制面、若干数据面）→ Stop。
// 不变量：Stop 返回后没有一个它起的进程还活着；我们被杀时，孩子收到 SIGTERM（Linux）。
// 并发：Stack 的方法由一个协程调用；Process 自己的状态有锁。
// 失败时：进程没能就绪，错误里带着它日志的末尾。
// 不做什么：不引用任何平面的内部包，只看得见二进制、对外契约与 upstreamtest。
package stack
