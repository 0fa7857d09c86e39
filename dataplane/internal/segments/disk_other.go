//go:build !unix

package segments

import "errors"

// newFiles 在没有 mmap 的系统上总是失败：调用者把记录留在内存里。
func newFiles(string) (Files, error) {
	return nil, errors.New("mapped segments are not supported on this system")
}
