// Package cli 是命令行动词的里子：读 vega.yaml，对管理 API 说话，把结果写成人看得懂的样子。
//
// # 职责
//
// apply（声明式应用）、export（导出）与 reconcile（对账）；从环境找到控制面与令牌；把错误变成表格与退出码。
// 命令与旗标的定义在 cmd/controlplane，它只调用这里。
//
// # 数据流
//
//	user reset-password → POST /operators/{name}/reset-password → 一次性口令，只写到标准输出，一次
//	vega.yaml → catalog.YAMLToJSON → catalog.Resolve（ca_file、api_key_env）→ PUT /config → 变化、新密钥、各节点的回音
//	GET /config → YAML → 标准输出
//	账单.csv → POST /usage/reconcile → 表、JSON 或 CSV
//
// # 不变量
//
//   - 退出码：0 成功；1 没做成；2 文档不合规矩；3 已写下，但有节点拒绝或没有回音。
//     reconcile 不同：0 相符或有道理，2 有差得没有道理的，1 没比成（账单不合规矩也是）。
//   - 新密钥的明文只写到标准输出，一次；错误与说明不含任何秘密。
//   - 导出再应用没有变化。
//
// # 并发
//
// 没有共享的状态。
//
// # 失败时
//
// 控制面够不着时说出地址与改它的变量；被拒时逐处列出路径与说明，什么都没有写下。
//
// # 不做什么
//
// 不懂配置的规矩：除了换掉只有命令行懂的两栏，文档原样送给服务端。
package cli
