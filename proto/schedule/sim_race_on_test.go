//go:build race

package schedule

// raceEnabled 说测试带着竞态检测：慢许多，种子就少些。
const raceEnabled = true
