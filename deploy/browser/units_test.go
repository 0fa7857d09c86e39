package browser

import (
	"path/filepath"
	"testing"
)

// TestUnits 跑控制台的组件与组合式函数的测试。
func TestUnits(t *testing.T) {
	prepare(t, "deps")
	out := filepath.Join(t.TempDir(), "vitest.json")
	err := node(t, "vitest/vitest.mjs", []string{"run", "--reporter=dot", "--reporter=json", "--outputFile.json=" + out}, nil)
	var got vitest
	readJSON(t, out, err, &got)
	got.report(filepath.Join(root(t), "console")).run(t, err)
}
