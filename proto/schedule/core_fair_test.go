package schedule

import (
	"fmt"
	"math"
	"os"
	"testing"
	"time"
)

// starved 数两次派发之间超过 U·(Σw − w)/R + S_max 的 app。U 取界的十分之一，与 TestFairness 要求的差距一样：
// 取整个界，算出来的比整个模拟还长，谁也不会算作饿死。
func (f *floor) starved() (n int) {
	weights := 0.0
	for _, t := range f.tenants {
		weights += float64(t.weight)
	}
	rate := f.total / f.now.Sub(second).Seconds()
	for _, t := range f.tenants {
		most := f.bound()/10*(weights-float64(t.weight))/rate + f.longest.Seconds()
		if t.completed == 0 || max(t.gap, f.now.Sub(t.last)).Seconds() > most {
			n++
		}
	}
	return n
}

func TestFairness(t *testing.T) {
	t.Parallel()
	worst, gap, bound, starved, longest := 1.0, 0.0, 0.0, 0, time.Duration(0)
	for seed := range uint64(20) {
		f := newFloor(seed,
			&tenant{app: "long", class: Standard, weight: 1, prompt: 400, output: 1500, backlog: 40},
			&tenant{app: "flood", class: Standard, weight: 1, prompt: 50, output: 100, backlog: 400},
			&tenant{app: "double", class: Standard, weight: 2, prompt: 1000, output: 300, backlog: 40},
			&tenant{app: "quadruple", class: Standard, weight: 4, prompt: 200, output: 300, backlog: 40},
		)
		f.run(f.now.Add(14 * time.Minute))
		share := make([]float64, len(f.tenants))
		for i, x := range f.tenants {
			share[i] = x.served / float64(x.weight)
			longest = max(longest, x.gap)
		}
		worst, gap, bound = min(worst, jain(share)), max(gap, f.gap()), f.bound()
		starved += f.starved()
	}
	fmt.Fprintf(os.Stdout, "figures: fairness jain=%.4f starved=%d max_gap=%.0f bound=%.0f longest_wait_between_grants=%s\n", worst, starved, gap, bound, longest.Round(time.Millisecond))
	if worst < 0.99 || starved > 0 || gap > bound {
		t.Fatalf("jain %.4f, starved %d, gap %.0f of %.0f", worst, starved, gap, bound)
	}
	// 差距的实际大小与一两个请求相当；若到了界的十分之一，就不是这个算法了。
	if gap > bound/10 {
		t.Fatalf("gap %.0f is far above what predicted charging gives", gap)
	}
}

func TestFairness_ClassesGetTheirSharesAndNobodyStarves(t *testing.T) {
	f := newFloor(1,
		&tenant{app: "a", class: Interactive, weight: 1, prompt: 100, output: 200, backlog: 40},
		&tenant{app: "b", class: Standard, weight: 3, prompt: 100, output: 200, backlog: 40},
		&tenant{app: "c", class: Batch, weight: 9, prompt: 100, output: 200, backlog: 400},
	)
	f.run(f.now.Add(60 * time.Minute))
	total := 0.0
	for _, x := range f.tenants {
		total += x.served
	}
	worst := 0.0
	for i, want := range []float64{16. / 21, 4. / 21, 1. / 21} {
		worst = max(worst, math.Abs(f.tenants[i].served/total-want)/want)
	}
	batch := f.tenants[2]
	fmt.Fprintf(os.Stdout, "figures: classes shares=%.3f:%.3f:%.3f worst_error=%.3f batch_longest_gap=%s\n",
		f.tenants[0].served/total*21, f.tenants[1].served/total*21, batch.served/total*21, worst, batch.gap.Round(time.Millisecond))
	if worst > 0.05 {
		t.Fatalf("a class is %.1f %% off its share", worst*100)
	}
	// 最坏的一次：刚派发的那个实际是最长的一种，它的代价要以 1/21 的份额摊还，再等一个最长的完成。
	rate := f.total / f.now.Sub(second).Seconds()
	if bound := (100+2*fairMaxOutput)/(rate/21) + f.longest.Seconds(); batch.gap.Seconds() > bound {
		t.Fatalf("batch waited %v between grants, the bound is %.1f s", batch.gap, bound)
	}
}

// 停了许久的回来不得把停着的时间折成优先：回来之后两边仍各得一半。
func TestFairness_ReturningFlowGetsNoCreditForIdleness(t *testing.T) {
	a := &tenant{app: "a", class: Standard, weight: 1, prompt: 100, output: 200, backlog: 40}
	b := &tenant{app: "b", class: Standard, weight: 1, prompt: 100, output: 200}
	f := newFloor(2, a, b)
	f.run(f.now.Add(10 * time.Minute))
	b.backlog = 40
	was := a.served
	f.run(f.now.Add(5 * time.Minute))
	if got := (a.served - was) / b.served; got < 0.95 || got > 1.05 {
		t.Fatalf("a got %.3f of what b got after b came back", got)
	}
}

// 清闲时（谁也不用等）服务得多的，到拥挤时不欠账。
func TestFairness_UncontendedServiceIsNotHeldAgainstAnApp(t *testing.T) {
	y := newYard(t)
	y.slots("s", 1000)
	for range 1000 {
		y.Start(1, "s", "m", tokens("a", 1000))
	}
	y.Start(1, "s", "m", tokens("b", 1000))
	y.slots("s", 0)
	for i := range Time(20) {
		y.wait(2+i, "a", tokens("a", 1000), to("s"))
		y.wait(2+i, "b", tokens("b", 1000), to("s"))
	}
	y.slots("s", 1010)
	as := 0
	for w, _, ok := y.Dispatch(100); ok; w, _, ok = y.Dispatch(100) {
		if w.App == "a" {
			as++
		}
	}
	if as < 3 {
		t.Fatalf("a got %d of 9", as)
	}
}

// 在别处服务过的（别的节点本地准入的）也算，退回的也算。
func TestFairness_ServiceElsewhereCounts(t *testing.T) {
	y := newYard(t)
	y.slots("s", 0)
	for i := range Time(6) {
		y.wait(1+i, "a", tokens("a", 100), to("s"))
		y.wait(1+i, "b", tokens("b", 100), to("s"))
	}
	y.Charge(8, "s", "a", Standard, 1, 300)
	y.slots("s", 4)
	y.expect(9, "b@s", "b@s", "b@s", "a@s")
	y.Charge(10, "s", "a", Standard, 1, -350)
	y.slots("s", 8)
	y.expect(11, "a@s", "a@s", "a@s", "b@s")
}

// 闲着的 flow 的账有界：几万个 app 来过之后，剩下的只有还领先于虚时间的。
func TestFairness_IdleFlowsAreForgotten(t *testing.T) {
	y := newYard(t)
	for i := range 50_000 {
		y.Start(Time(i+1), "s", "m", tokens(fmt.Sprintf("app-%d", i), 100))
	}
	if flows, apps := len(y.servers["s"].classes[1].flows), len(y.apps); flows > 50_000 || apps != flows {
		t.Fatalf("%d flows, %d apps", flows, apps)
	}
	for range 3 {
		y.Start(60_000, "s", "m", tokens("steady", 1000))
	}
	if flows, apps := len(y.servers["s"].classes[1].flows), len(y.apps); flows > 1 || apps > 1 {
		t.Fatalf("%d flows and %d apps are remembered", flows, apps)
	}
}

// 说不出 token 的请求一样占名额：一直排着的它们不得饿死别人。
func TestFairness_RequestsWithoutTokensDoNotStarveOthers(t *testing.T) {
	y := newYard(t)
	y.slots("s", 0)
	for i := range Time(200) {
		y.wait(1+i, "audio", tokens("audio", 0), to("s"))
		y.wait(1+i, "chat", tokens("chat", 800), to("s"))
	}
	y.slots("s", 100)
	chats := 0
	for _, name := range y.granted(300) {
		if name == "chat@s" {
			chats++
		}
	}
	if chats < 45 || chats > 55 {
		t.Fatalf("chat got %d of 100", chats)
	}
}
