package gateway_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestSeededBugs：bugs.go 里的每一处错误放进来，都有它名下的测试失败；什么也不放则都通过。
func TestSeededBugs(t *testing.T) {
	source, err := os.ReadFile("bugs.go")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`bug = "(\w+)".*：(Test\w+)`).FindAllStringSubmatch(string(source), -1)
	if len(list) < 5 {
		t.Fatalf("only %d bugs found", len(list))
	}
	bin := filepath.Join(t.TempDir(), "seeded.test")
	if out, err := exec.Command("go", "test", "-c", "-tags", "seeded", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := func(bug, test string) error {
		cmd := exec.Command(bin, "-test.run", "^"+test+"$", "-test.short", "-test.timeout", "2m")
		cmd.Env = append(os.Environ(), "VEGA_SEEDED_BUG="+bug)
		return cmd.Run()
	}
	caught := 0
	for _, b := range list {
		if err := run("", b[2]); err != nil {
			t.Errorf("%s fails without a bug: %v", b[2], err)
		}
		if err := run(b[1], b[2]); err == nil {
			t.Errorf("%s does not see %s", b[2], b[1])
			continue
		}
		caught++
	}
	fmt.Printf("figures: gateway-seeded-bugs caught=%d/%d\n", caught, len(list))
}
