package schedule

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// tenant 是一个一直有活的 app：队里总保持 backlog 个。
type tenant struct {
	app       string
	class     Class
	weight    int64
	prompt    int64
	output    float64 // 平均输出
	backlog   int
	waiting   int
	served    float64 // 到 floor.now 为止真正服务的代价（输出随时间线性出来）
	rate      float64 // 正在出来的代价/秒
	last      Time    // 上一次派发
	gap       time.Duration
	completed int
}

// job 是一个正在跑的请求；real 与预计的不一样。
type job struct {
	tenant *tenant
	ends   Time
	speed  float64
	real   int64
	guess  int64
}

// floor 是虚时间里的一个 server：slots 个名额，每个名额每秒出 perSecond 个 token。
type floor struct {
	core    *Core
	rng     *rand.Rand
	now     Time
	tenants []*tenant
	running []job
	id      uint64
	longest time.Duration
	spread  [][2]float64 // 每一对 tenant 的归一化服务之差的最小与最大
	total   float64
}

const (
	fairSlots     = 32
	fairPerSecond = 50.0
	fairMaxOutput = 4096
)

func newFloor(seed uint64, tenants ...*tenant) *floor {
	f := &floor{core: NewCore(), rng: rand.New(rand.NewPCG(seed, 5)), now: second, tenants: tenants}
	f.core.SetCap(f.now, Pool{Server: "s", Kind: InFlight}, Cap{Mode: Count, N: fairSlots})
	f.spread = make([][2]float64, len(tenants)*len(tenants))
	for _, t := range tenants {
		t.last = f.now
	}
	return f
}

// run 走到 end。
func (f *floor) run(end Time) {
	for f.now < end {
		f.fill()
		for {
			w, _, ok := f.core.Dispatch(f.now)
			if !ok {
				break
			}
			f.begin(w)
		}
		f.measure()
		f.finish()
	}
}

func (f *floor) fill() {
	for _, t := range f.tenants {
		for ; t.waiting < t.backlog; t.waiting++ {
			f.id++
			f.core.Arrive(f.now, &Waiter{
				Request: Request{App: t.app, Class: t.class, Weight: t.weight, Cost: Cost{Prompt: t.prompt, Output: int64(t.output)}},
				ID:      f.id, Arrived: f.now, Candidates: to("s"), Tag: t,
			}, false)
		}
	}
}

func (f *floor) begin(w *Waiter) {
	t := w.Tag.(*tenant)
	t.waiting--
	t.gap, t.last = max(t.gap, f.now.Sub(t.last)), f.now
	output := min(1+int64(f.rng.ExpFloat64()*t.output), fairMaxOutput)
	took := time.Duration(float64(output) / fairPerSecond * 1e9)
	f.longest = max(f.longest, took)
	t.served += float64(t.prompt)
	t.rate += 2 * fairPerSecond
	f.running = append(f.running, job{t, f.now.Add(took), 2 * fairPerSecond, Cost{t.prompt, output}.Charge(), w.Cost.Charge()})
}

// finish 走到最早的一个完成：补记实际与预计之差，归还名额。
func (f *floor) finish() {
	first := slices.MinFunc(f.running, func(a, b job) int { return int(a.ends - b.ends) })
	elapsed := first.ends.Sub(f.now).Seconds()
	for _, t := range f.tenants {
		t.served += t.rate * elapsed
		f.total += t.rate * elapsed
	}
	f.now = first.ends
	f.running = slices.DeleteFunc(f.running, func(j job) bool {
		if j.ends > f.now {
			return false
		}
		t := j.tenant
		t.rate -= j.speed
		t.completed++
		f.core.Charge(f.now, "s", t.app, t.class, t.weight, j.real-j.guess)
		f.core.Served(f.now, "s", t.app, 1, time.Second)
		f.core.Give(f.now, Pool{Server: "s", Kind: InFlight}, 1)
		return true
	})
}

// measure 记下每一对的归一化服务之差到过的两端：两端之差就是任何一段时间里的最大差距。
func (f *floor) measure() {
	for i, a := range f.tenants {
		for j, b := range f.tenants {
			d := a.served/float64(a.weight) - b.served/float64(b.weight)
			s := &f.spread[i*len(f.tenants)+j]
			s[0], s[1] = min(s[0], d), max(s[1], d)
		}
	}
}

func (f *floor) gap() (gap float64) {
	for _, s := range f.spread {
		gap = max(gap, s[1]-s[0])
	}
	return gap
}

// bound 是 2·max(w_p·L_in, w_q·M)/w_min，M 是名额里至多同时有的输出。
func (f *floor) bound() float64 {
	longest, least := 0.0, math.Inf(1)
	for _, t := range f.tenants {
		longest = max(longest, float64(t.prompt))
		least = min(least, float64(t.weight))
	}
	return 2 * max(longest, 2*fairSlots*fairMaxOutput) / least
}

func jain(x []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, v := range x {
		sum += v
		squares += v * v
	}
	return sum * sum / (float64(len(x)) * squares)
}
