//go:build race

package state

// raceEnabled：竞态检测下 sync.Pool 会故意丢东西，不数分配。
const raceEnabled = true
