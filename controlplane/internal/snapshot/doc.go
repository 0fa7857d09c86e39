// Package snapshot 把一版 catalog 编成节点收的快照：纯函数，同样的内容总是同样的字节。
//
// 职责：Build 换形状并定次序（名字升序、key 按 MAC 升序）；Findings 把 ruleset 查出的毛病指回配置里的对象；
// Encode 做确定性编码、摘要与压缩。没有状态，不做输入输出；停用的对象与过期的 key 也在快照里，由节点判断。
package snapshot
