package proxy

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// ackedBytes 问内核对方确认过多少字节的数据（不含 SYN 占的一个序号）。
func ackedBytes(conn net.Conn) (int64, bool) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, false
	}
	var info *unix.TCPInfo
	if raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}) != nil || err != nil {
		return 0, false
	}
	return int64(info.Bytes_acked) - 1, true
}
