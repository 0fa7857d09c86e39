package controltest

import (
	"time"

	"google.golang.org/grpc/backoff"
)

// quickBackoff 使停机再起之后的重连只要几十毫秒。
func quickBackoff() backoff.Config {
	return backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 100 * time.Millisecond}
}
