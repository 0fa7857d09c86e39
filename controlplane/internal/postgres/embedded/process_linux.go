package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// processAttr 让子进程换账号、自成进程组（终端的 Ctrl-C 不该先于我们停掉数据库）、随我们而亡。
func processAttr(acct account, onDeath syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: acct.credential(), Setpgid: true, Pdeathsig: onDeath}
}

// lend 打开目录并把描述符交给子进程：它按 /proc/self/fd/N 进去，不必走得过父目录。
func lend(cmd *exec.Cmd, dirs []string) (names []string, closeAll func(), err error) {
	closeAll = func() {
		for _, f := range cmd.ExtraFiles {
			f.Close()
		}
	}
	if !procMounted() {
		return dirs, closeAll, nil
	}
	for _, dir := range dirs {
		f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		names = append(names, fmt.Sprintf("/proc/self/fd/%d", 3+len(cmd.ExtraFiles)))
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	return names, closeAll, nil
}

func procMounted() bool {
	_, err := os.Stat("/proc/self/fd")
	return err == nil
}

// identify 判断 pid 是不是这个簇的 postmaster。命令行人人可读，先看它上面的标记；
// 没有标记的（别人手工启动的）再看工作目录，而容器里的 root 常没有 CAP_SYS_PTRACE，看不了别的账号的，只好说不知道。
func identify(pid int, cluster string) identity {
	proc := fmt.Sprintf("/proc/%d", pid)
	text, err := os.ReadFile(proc + "/cmdline")
	if err != nil || len(text) == 0 { // 已结束，或是僵尸
		return stranger
	}
	args := strings.Split(string(text), "\x00")
	if name := filepath.Base(args[0]); name != "postgres" && name != "postmaster" {
		return stranger
	}
	if slices.Contains(args, markerSetting(cluster)) {
		return ours
	}
	cwd, err := os.Stat(proc + "/cwd")
	if errors.Is(err, os.ErrPermission) {
		return unknown
	}
	data, dataErr := os.Stat(cluster)
	if err == nil && dataErr == nil && os.SameFile(cwd, data) {
		return ours
	}
	return stranger
}
