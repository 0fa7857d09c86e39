package stack

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// 给出的端口在系统的临时端口（Linux 从 32768 起）之下：进程停着的时候，谁的外连都不会把它的端口拿走，
// 同一个地址可以一停一起许多回。
const (
	lowestPort = 10240
	portCount  = 32768 - lowestPort
)

var ports struct {
	sync.Mutex
	next int // 上一个给出去的；0 表示还没有给过
}

// FreeAddr 给出一个此刻没有人听的回环地址，同一个进程里不给第二次。
// 从随机的一处数起：同时跑的几个测试程序因此不在同一处找。
func FreeAddr() (string, error) {
	ports.Lock()
	defer ports.Unlock()
	if ports.next == 0 {
		ports.next = rand.IntN(portCount)
	}
	for range portCount {
		ports.next = (ports.next + 1) % portCount
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(lowestPort+ports.next)))
		if err != nil {
			continue
		}
		return l.Addr().String(), l.Close()
	}
	return "", errors.New("no free port on 127.0.0.1 between 10240 and 32767: end what listens there")
}
