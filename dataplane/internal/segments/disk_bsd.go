//go:build unix && !linux

package segments

import "os"

// reserve 占下 f 的前 size 个字节；前 had 个字节的内容不变。
func reserve(f *os.File, had, size int64) error { return fillWithZeroes(f, had, size) }

// warm 在这些系统上没有不改内容的办法。
func warm([]byte) {}
