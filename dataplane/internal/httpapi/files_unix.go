//go:build unix

package httpapi

import "syscall"

// fileLimit 给出本进程的描述符上限。
func fileLimit() (uint64, bool) {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return 0, false
	}
	return uint64(r.Cur), true //nolint:unconvert // 有的系统上它是有符号的
}
