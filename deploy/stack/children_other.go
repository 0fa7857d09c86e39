//go:build !linux

package stack

// children 只在 Linux 上数得出；别处的孩子自己察觉父亲没了。
func children(int) []int { return nil }

func running(int) bool { return false }
