package stack

import (
	"fmt"
	"syscall"
	"unsafe"
)

// LimitFileSize 让 pid 此后写不出比 bytes 更大的文件（EFBIG），如同盘满；负数即不再限。只改软限额，故不要特权。
func LimitFileSize(pid int, bytes int64) error {
	const fsize = syscall.RLIMIT_FSIZE
	var limit syscall.Rlimit
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), fsize, 0, uintptr(unsafe.Pointer(&limit)), 0, 0); errno != 0 {
		return fmt.Errorf("read the file size limit of %d: %w", pid, errno)
	}
	if limit.Cur = uint64(bytes); bytes < 0 {
		limit.Cur = limit.Max
	}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), fsize, uintptr(unsafe.Pointer(&limit)), 0, 0, 0); errno != 0 {
		return fmt.Errorf("set the file size limit of %d: %w", pid, errno)
	}
	return nil
}
