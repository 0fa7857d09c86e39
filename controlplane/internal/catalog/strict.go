package catalog

// Decode 以目录的规矩严格地读一个 JSON 对象填进 target（非 nil 的结构指针）：不认识的字段、重复的键与类型不对都逐处列出。
// 可以是字段的类型：string、bool、int64、time.Time、Secret、它们的切片与指针、结构。错误是 vegaerr.Invalid。
func Decode(data []byte, target any) error {
	dec := newDecoder()
	if tree := readTree(data, &dec.problems); tree != nil {
		dec.into(tree, "", target)
	}
	return dec.err()
}
