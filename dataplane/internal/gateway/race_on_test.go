//go:build race

package gateway_test

// raceEnabled：竞态检测下 sync.Pool 会故意丢东西，不拿分配的数作判断。
const raceEnabled = true
