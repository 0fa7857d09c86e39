//go:build race

package admit

// raced 说带着竞态检查在跑：数字没有意义，标出来。
const raced = true
