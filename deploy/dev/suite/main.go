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

// full 让测试跑它们完整的大小。
const full = "VEGA_PROOF=full"

// 不带竞态检测的几组：要跑得多、要量得准。带检测的一组里它们也跑一小份。

// core 是准入的状态机：模拟、对照、公平与故意的错误。
func core(name string, env ...string) group {
	return group{
		name: name, dir: "proto", env: env,
		args: []string{"-count=1", "-timeout=60m", "-run=^(TestSimulation|TestSeededBugs|TestHostsAgree|TestCore_AgreesWithNaiveModel|TestFairness|TestEstimate_.*|TestBucket_.*|TestRateShare_.*)$", "./schedule"},
		must: []string{"TestSimulation", "TestSeededBugs", "TestHostsAgree", "TestCore_AgreesWithNaiveModel", "TestFairness", "TestBucket_SustainsMostOfTheLimit"},
	}
}

// node 是节点里的准入：期限、代价、多等的时间、随机的一生。
func node(name string, env ...string) group {
	return group{
		name: name, dir: "dataplane", env: env,
		args: []string{"-count=1", "-timeout=60m", "-p=1", "-run=TestDeadlines|TestLifecycles|LimitsThatAreNotReached|AddedWait", "./internal/admit", "./internal/gateway"},
		must: []string{"TestDeadlines", "TestLifecycles_NothingLeaks", "TestLifecycles_ThroughTheRealRoadNothingLeaks",
			"TestAcquire_LimitsThatAreNotReachedCostNoAllocation", "TestGate_AddedWaitIsOneRoundTrip"},
	}
}

// units 是控制台自己的测试与首屏的重量；browser 是真的浏览器对着一整套真的进程，各页的文件非跑不可。
func units() group {
	return group{name: "console", dir: "deploy", args: []string{"-count=1", "-timeout=10m", "-run=^(TestUnits|TestWeight|TestReport_.*)$", "./browser"},
		must: []string{"TestUnits", "TestUnits/src/locales/locales.test.ts", "TestWeight"}}
}

func browser() group {
	g := group{name: "browser", dir: "deploy", args: []string{"-count=1", "-timeout=30m", "-run=^TestConsole$", "./browser"}}
	for _, spec := range []string{"harness", "login", "weight", "shell", "palette", "guide", "overview", "queues", "requests", "usage", "nodes",
		"servers", "models", "apps", "revisions", "playground", "audit", "access", "settings"} {
		g.must = append(g.must, "TestConsole/"+spec+".spec.ts")
	}
	return g
}

// fleet 是真的进程：几个数据面、控制面与 PostgreSQL，打真的负荷。
func fleet(name, timeout string, env ...string) group {
	return group{
		name: name, dir: "deploy", env: env, args: []string{"-count=1", "-timeout=" + timeout, "./proof/..."},
		must: []string{"TestAccuracy", "TestAccuracy_Kills", "TestAccuracy_CatchesSeededBugs", "TestAudit", "TestOutage", "TestRestore_HealsWithinRetention", "TestRestore_CountsWhatIsBeyondRetention",
			"TestDisk", "TestHeavyQuery", "TestConverge", "TestStreams", "TestAdmission_Skew", "TestAdmission_Faults", "TestAdmission_Outage", "TestAdmission_Handover",
			"TestRateWindow", "TestOverload", "TestTightLatency", "TestHangup"},
	}
}

// books 是用量的账本自己：入库有多快，一个大安装一季度的用量查得有多快。
func books(name string, env ...string) group {
	return group{
		name: name, dir: "controlplane", env: env,
		args: []string{"-count=1", "-timeout=60m", "-p=1", "-run=TestFigures_|ConsoleQuestions", "./internal/usage", "./internal/postgres"},
		must: []string{"TestFigures_EightNodesReportBatchesOfAThousandWhileTheRollerRuns", "TestUsageQuery_ConsoleQuestionsOverManyRows"},
	}
}

var suites = map[string][]group{
	"test": {
		{name: "proto", dir: "proto", args: []string{"-race", "./..."}, cover: true},
		core("schedule (small)"),
		{name: "controlplane", dir: "controlplane", args: []string{"-race", "-timeout=15m", "./..."}, cover: true},
		{name: "dataplane", dir: "dataplane", args: []string{"-race", "-timeout=15m", "./..."}, cover: true},
		node("node (small)"),
		{name: "deploy", dir: "deploy", args: []string{"-timeout=10m", "./dev/...", "./docker/...", "./bench/...", "./stack/..."}},
		{name: "e2e", dir: "deploy", args: []string{"-count=1", "-timeout=20m", "./e2e/..."},
			must: []string{"TestOpenAINodeSDK", "TestOpenAIGoSDK", "TestQueue"}},
		units(),
		browser(),
		fleet("proof (small)", "20m"),
	},
	"proof": {core("schedule", full), node("node", full), books("books", full), fleet("proof", "90m", full)},
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
		fmt.Println("   slowest:", t.slowest())
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
