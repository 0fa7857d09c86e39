// bench 量网关的代价：同一个上游前面放 Vega、nginx 与 Go 的反向代理，同一轮里轮流量，只比比例。
//
// 一轮里每一臂都量：小 JSON 请求的每秒请求数与每请求 CPU、定速 500 次/秒时比直连多出的延迟、
// 64 块的流与慢流每块的 CPU、1,000 与 9,800 条同时开着的流的错误数与内存。
// CPU 是代理进程（nginx 是全部 worker）的 utime+stime，不含负载与上游。
// 从不判通过与否：机器吵，数字只供人读。用法：make bench，或 go run ./deploy/bench -h。
package main
