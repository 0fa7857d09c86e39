package usage_test

import (
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cpuTime 是本进程用掉的处理器时间。
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// backendCPU 是服务着 conn 那个库的各 PostgreSQL 进程用掉的处理器时间；不在本机则为 0。
// 机器被别人占着时，墙上的时间说明不了代价，处理器时间可以。
func backendCPU(t testing.TB, conn *sql.DB) time.Duration {
	t.Helper()
	const tick = 10 * time.Millisecond // 内核以 USER_HZ = 100 报数
	var total time.Duration
	for pid := range strings.SplitSeq(scalar[string](t, conn, "SELECT COALESCE(string_agg(pid::text, ' '), '') FROM pg_stat_activity WHERE datname = current_database() OR backend_type IN ('walwriter', 'checkpointer', 'background writer')"), " ") {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%s/stat", pid))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		for _, f := range fields[11:13] { // utime 与 stime
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			total += time.Duration(n) * tick
		}
	}
	return total
}
