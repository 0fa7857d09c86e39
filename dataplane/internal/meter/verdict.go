package meter

// Verdict 是一条流走到现在的结论。
type Verdict struct {
	Whole      bool  // 见过 finish_reason、终止事件、[DONE] 或错误事件；此后干净的结束就是完整。Untyped 的流总是 true
	ErrorEvent bool  // 见过错误事件
	Usage      Usage // 最后一次报告的用量
	HasUsage   bool
	Events     int64 // 带 data 的事件数，含 [DONE] 与被剥掉的
	Stripped   int64 // 被剥掉的事件数
	TextBytes  int64 // 模型生成的文字一共多少字节（JSON 的转义形式）
	Unreported int64 // 其中最后一次报告用量之后的：大于零时 Usage 只是中途的数
	Oversized  bool  // 有事件太大没有看完，用量可能不全
}
