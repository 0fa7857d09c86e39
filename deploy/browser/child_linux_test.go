package browser

import (
	"runtime"
	"syscall"
)

// childAttr 让孩子自成一组，并在我们被杀时收到 SIGTERM：它再关掉自己的浏览器。
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// lockThread 让当前协程占住它的线程：线程一死，内核就当父亲死了。
func lockThread() { runtime.LockOSThread() }
