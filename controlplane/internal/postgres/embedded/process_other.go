//go:build !linux

package embedded

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// processAttr 让子进程换账号、自成进程组；这里没有 Pdeathsig，遗留的服务器由下一次 Start 停掉。
func processAttr(acct account, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: acct.credential(), Setpgid: true}
}

// lend 在没有 /proc 的系统上给出真实路径；以 root 运行时父目录须可进入。
func lend(_ *exec.Cmd, dirs []string) (names []string, closeAll func(), err error) {
	return dirs, func() {}, nil
}

// identify 判断 pid 是不是这个簇的 postmaster：看命令行上的标记或簇的路径。
func identify(pid int, cluster string) identity {
	out, err := exec.Command("ps", "-ww", "-o", "stat=,command=", "-p", strconv.Itoa(pid)).Output()
	line := strings.TrimSpace(string(out))
	if err != nil || strings.HasPrefix(line, "Z") || !strings.Contains(line, "postgres") {
		return stranger
	}
	if strings.Contains(line, markerSetting(cluster)) || strings.Contains(line+" ", " "+cluster+" ") {
		return ours
	}
	return stranger
}
