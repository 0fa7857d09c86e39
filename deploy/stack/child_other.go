//go:build !linux

package stack

import "syscall"

// childAttr 让孩子自成一组；这里没有父进程死亡的信号。
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func lockThread() {}
