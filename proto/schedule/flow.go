package schedule

// scale 是公平账的刻度：一点代价除以权重之后还留得下的精度。
const scale = 1 << 10

// flow 是一个 server 上一个 (app, class) 的队。
//
// 它有四种样子：闲（没有谁在等）、在场（在 class.active 里，排头可以去争）、停（排头被 app 自己的池挡住，见 parked）、
// 歇（在等的都在等被暂停的目标）。只有在场的参与公平的次序。
type flow struct {
	app     *app
	server  *server
	class   *class
	counter int64 // 服务过的代价/权重，以 scale 计
	weight  int64
	lanes   []*lane
	head    *entry
	waiting int64
	parked  mask // 挡住排头的 app 池；非零即停
	active  int  // 在 class.active 里的位置，从 1 起
	idle    int  // 在 class.idle 里的位置
	listed  int  // 在 app.flows 里的位置，从 1 起
	timer   timer
}

// class 是一个 server 上的一个类别，也是上一层的一个流。
type class struct {
	weight  int64
	counter int64
	virtual int64 // 本类别的虚时间：最近一次派发的 flow 当时的计数，只增
	flows   map[string]*flow
	active  minHeap[*flow]
	idle    minHeap[*flow] // 闲而计数还高于虚时间的，虚时间追上就忘掉
	weights int64          // 在场的 flow 的权重之和
}

func newClass(weight int64) class {
	return class{
		weight: weight,
		flows:  map[string]*flow{},
		active: minHeap[*flow]{less: fairer, slot: func(f *flow) *int { return &f.active }},
		idle: minHeap[*flow]{
			less: func(a, b *flow) bool { return a.counter < b.counter },
			slot: func(f *flow) *int { return &f.idle },
		},
	}
}

func fairer(a, b *flow) bool {
	if a.counter != b.counter {
		return a.counter < b.counter
	}
	return before(a.head.w, b.head.w)
}

// classIndex 把类别化为下标，越先越小；认不得的算 Standard。
func classIndex(c Class) int {
	switch c {
	case Interactive:
		return 0
	case Batch:
		return 2
	}
	return 1
}

// flowOf 找到或新立一个 flow；新立的还没有谁在等，闲着。
func (c *Core) flowOf(s *server, r *Request) *flow {
	k := &s.classes[classIndex(r.Class)]
	if f := k.flows[r.App]; f != nil {
		return f
	}
	f := c.spareFlow()
	f.app, f.server, f.class, f.weight = c.app(r.App), s, k, max(1, r.Weight)
	if !broken(bugNoLift) {
		f.counter = k.virtual
	}
	f.timer.flow = f
	f.app.refs++
	k.flows[r.App] = f
	k.idle.push(f)
	return f
}

func (c *Core) spareFlow() *flow {
	if n := len(c.spareFlows); n > 0 {
		f := c.spareFlows[n-1]
		c.spareFlows = c.spareFlows[:n-1]
		return f
	}
	return &flow{}
}

// enter 让排头可以去争的 flow 在场。离场期间不积攒优先：计数提到虚时间（VTC 的 lift）。
func (c *Core) enter(f *flow) {
	k, s := f.class, f.server
	if !broken(bugNoLift) {
		f.counter = max(f.counter, k.virtual)
		if k.active.len() == 0 {
			k.counter = max(k.counter, s.virtual)
		}
	}
	k.weights += f.weight
	k.active.push(f)
}

// weigh 换上最近一个请求带来的权重。
func (f *flow) weigh(weight int64) {
	weight = max(1, weight)
	if f.active > 0 {
		f.class.weights += weight - f.weight
	}
	f.weight = weight
}

func (c *Core) leave(f *flow) {
	if f.active > 0 {
		f.class.weights -= f.weight
		f.class.active.remove(f)
	}
}

// park 记下 app 的哪些池挡住了 f 的排头，m 为 0 即不再停；离场与入场由调用者做。
func (c *Core) park(f *flow, m mask, wake Time) {
	for i := range f.app.blocked {
		f.app.blocked[i] += int64(m>>i&1) - int64(f.parked>>i&1)
	}
	f.parked = m
	c.arm(&f.timer, wake)
}

// refresh 在 f 的 lane 变过之后重新定它的排头与样子。
func (c *Core) refresh(f *flow) {
	var head *entry
	for _, l := range f.lanes {
		if l.target.paused {
			if broken(bugPauseHoldsAll) {
				head = nil
				break
			}
			continue
		}
		if e := l.head; e != nil && (head == nil || e.before(head)) {
			head = e
		}
	}
	changed, s := head != f.head, f.server
	f.head = head
	switch {
	case head == nil:
		c.leave(f)
		c.park(f, 0, 0)
		c.rest(f)
	case f.parked != 0:
		if changed {
			c.doubt(f.app)
		}
		return
	case f.active == 0:
		c.enter(f)
	case changed:
		f.class.active.fix(f)
	default:
		return
	}
	c.touch(s)
}
