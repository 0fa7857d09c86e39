// suite 跑全部测试组，数每组真正跑过的用例，打印覆盖率，并确认测试起的进程都走了。
//
// 有用例失败、有用例被跳过、有一组一个用例也没有跑、或有进程留下，都以非零结束。
// 用法：go run ./deploy/dev/suite test|proof（在仓库根目录）。
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// group 是一组必须跑的测试。
type group struct {
	name  string
	dir   string   // 模块目录
	args  []string // go test 的参数
	env   []string
	cover bool
	must  []string // 这一组里非跑不可的用例
}

var suites = map[string][]group{
	"test": {
		{name: "proto", dir: "proto", args: []string{"-race", "./..."}, cover: true},
		{name: "controlplane", dir: "controlplane", args: []string{"-race", "-timeout=15m", "./..."}, cover: true},
		{name: "dataplane", dir: "dataplane", args: []string{"-race", "-timeout=15m", "./..."}, cover: true},
		{name: "deploy", dir: "deploy", args: []string{"-timeout=10m", "./dev/...", "./docker/...", "./bench/..."}},
		{name: "e2e", dir: "deploy", args: []string{"-count=1", "-timeout=20m", "./e2e/..."},
			must: []string{"TestOpenAINodeSDK", "TestOpenAIGoSDK"}},
		{name: "proof (small)", dir: "deploy", args: []string{"-count=1", "-timeout=15m", "./proof/..."}},
	},
	"proof": {
		{name: "proof of a node", dir: "dataplane", env: []string{"VEGA_PROOF=full"},
			args: []string{"-count=1", "-timeout=60m", "-p=1", "-run=TestDeadlines|TestLifecycles|LimitsThatAreNotReached|AddedWait", "./internal/admit", "./internal/gateway"},
			must: []string{"TestDeadlines", "TestLifecycles_NothingLeaks", "TestLifecycles_ThroughTheRealRoadNothingLeaks",
				"TestAcquire_LimitsThatAreNotReachedCostNoAllocation", "TestGate_AddedWaitIsOneRoundTrip"}},
		{name: "proof", dir: "deploy", args: []string{"-count=1", "-timeout=60m", "./proof/..."}, env: []string{"VEGA_PROOF=full"}},
	},
}

func main() {
	if len(os.Args) != 2 || suites[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: suite test|proof")
		os.Exit(2)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	marker := "VEGA_SUITE_ID=" + strconv.FormatInt(time.Now().UnixNano(), 36)
	var total tally
	failed := false
	for _, g := range suites[os.Args[1]] {
		start := time.Now()
		t, err := run(g, marker, stop)
		total.add(t)
		fmt.Printf("== %-14s %d passed, %d failed, %d skipped  (%s)%s\n", g.name, t.passed, t.failed, t.skipped,
			time.Since(start).Round(time.Second), t.coverage)
		if err != nil {
			failed = true
			fmt.Printf("== %s: %v\n", g.name, err)
		}
	}
	if left := leftovers(marker, 5*time.Second); len(left) > 0 {
		failed = true
		fmt.Println("== processes left behind by tests:")
		for _, p := range left {
			fmt.Println("  ", p)
		}
	}
	fmt.Printf("\n%d passed, %d failed, %d skipped\n", total.passed, total.failed, total.skipped)
	if failed {
		os.Exit(1)
	}
}
