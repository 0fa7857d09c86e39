//go:build !unix

package app

import "os"

// lockExclusive 在这个系统上不锁，只建文件：各节点用各自的目录由运维保证。
func lockExclusive(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}
