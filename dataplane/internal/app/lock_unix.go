//go:build unix

package app

import (
	"errors"
	"os"
	"syscall"
)

// lockExclusive 独占地锁住一个文件，直到它被关闭或进程结束（不论怎么结束）；已被别人锁着是 errInUse。
func lockExclusive(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errInUse
		}
		return nil, err
	}
	return f, nil
}
