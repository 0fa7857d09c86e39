package stack

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// CPU 是进程至今用掉的 utime+stime；内核以 10 ms 为一格。
func CPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	// 第二栏是括号里的程序名，可能含空格；从右括号之后数起。
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	utime, err1 := strconv.ParseInt(f[11], 10, 64)
	stime, err2 := strconv.ParseInt(f[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("read CPU time: %q", b)
	}
	return time.Duration(utime+stime) * 10 * time.Millisecond, nil
}

// RSS 是进程驻留内存的字节数。
func RSS(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("read RSS: %w", err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
