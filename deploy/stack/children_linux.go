package stack

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// children 是 pid 此刻的孩子；孙辈不算。
func children(pid int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var out []int
	for _, path := range stats {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		if f := status(child); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			out = append(out, child)
		}
	}
	return out
}

// running 说 pid 还在跑；结束了而没有被收尸的不算。
func running(pid int) bool {
	f := status(pid)
	return len(f) > 0 && f[0] != "Z" && f[0] != "X"
}

// status 是 /proc/<pid>/stat 里程序名之后的各栏：状态、父亲……；已经走了为空。
func status(pid int) []string {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	// 第二栏是括号里的程序名，可能含空格；从右括号之后数起。
	return strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
}
