// Package catalog 是配置的名词与规矩：server、model、app、key，以及一版配置到下一版的每一种改法。
//
// # 职责
//
// 读懂声明式文档并一次列出全部错误；把一次写（应用、单个对象的增改删、key、回滚）算成纯函数
// 「现在的 Catalog → 下一版 Catalog」；比较两版；导出。
//
// # 数据流
//
//	文档字节 → Parse → *Document → Apply/Create/Replace/… (*Catalog → *Catalog) → Compare → 存储写入 → 快照
//
// # 不变量
//
//   - Catalog 及其中的每个对象造好之后只读；改法总是先克隆表、再换上新的对象，没变的对象共用指针。
//   - 明文凭证只在 Secret 里，Secret 打印不出来也编码不出来。
//   - 同一个 key 的 secret（即 MAC）在整个安装里只有一份；吊销过的永不复活。
//   - Credentials 里名字不在 Servers 中的那些是「脱落」的：只有回滚能让它们重新有主。
//   - Export 之后再 Apply（带或不带 prune）得到与原来相同的 Catalog。
//
// # 并发
//
// 没有可变状态；值可以随意共享。
//
// # 失败时
//
// 输入不合规矩是 vegaerr.Invalid，撞上现状是 vegaerr.Conflict，都带逐处的 Problems；出错时不返回半成品。
//
// # 不做什么
//
// 不做输入输出，不知道 SQL、HTTP 与快照的编码；范围与引用的规则在 proto/ruleset，由存储在提交前统一检查。
package catalog
