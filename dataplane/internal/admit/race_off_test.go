//go:build !race

package admit

// raced 见 race_on_test.go。
const raced = false
