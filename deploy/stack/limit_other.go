//go:build !linux

package stack

import "errors"

// LimitFileSize 只在 Linux 上改得了别的进程的限额。
func LimitFileSize(int, int64) error { return errors.ErrUnsupported }
