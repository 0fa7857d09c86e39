package schedule

// Core 是池与公平的队；授予者与节点用同一个。不可并发使用，宿主上锁；now 由宿主给，不可倒退。
type Core struct {
	servers   map[string]*server
	apps      map[string]*app
	dirty     []*server // 要重新看一眼的
	doubtful  []*app    // 池变过、停着的 flow 要重新判的
	ready     minHeap[*server]
	timers    minHeap[*timer]
	deadlines minHeap[*Waiter]
	waiting   int64
	hops      uint64
	now       Time // 至今见过的最晚的

	spareFlows   []*flow
	spareLanes   []*lane
	spareTargets []*target
}

// app 是一个 app 自己的池，与它在各处在等的。
type app struct {
	name    string
	pools   pools
	flows   []*flow // 有谁在等的
	blocked [3]int64
	waiting int64
	refs    int // 指着它的 flow
	doubted bool
	pace    pace
	tokens  pace
}

// NewCore 是没有限额的空队。
func NewCore() *Core {
	return &Core{
		servers: map[string]*server{},
		apps:    map[string]*app{},
		timers:  newTimers(),
		ready: minHeap[*server]{
			less: func(a, b *server) bool {
				if a.pick.w == b.pick.w {
					return a.name < b.name
				}
				return before(a.pick.w, b.pick.w)
			},
			slot: func(s *server) *int { return &s.ready },
		},
		deadlines: minHeap[*Waiter]{
			less: func(a, b *Waiter) bool {
				if a.Deadline != b.Deadline {
					return a.Deadline < b.Deadline
				}
				return before(a, b)
			},
			slot: func(w *Waiter) *int { return &w.spot.deadline },
		},
	}
}

func (c *Core) server(name string) *server {
	s := c.servers[name]
	if s == nil {
		s = newServer(name)
		c.servers[name] = s
	}
	return s
}

func (c *Core) app(name string) *app {
	a := c.apps[name]
	if a == nil {
		a = &app{name: name}
		c.apps[name] = a
	}
	return a
}

// release 忘掉没有限额、没有单位在外、也没有 flow 的 app。
func (c *Core) release(a *app) {
	if a.refs == 0 && a.pools.idle() {
		delete(c.apps, a.name)
	}
}

// retire 忘掉没有限额、没有单位在外、没有谁在等、也没有目标在暂停的 server。
func (c *Core) retire(now Time, s *server) {
	if !s.pools.idle() || s.maxWaiting > 0 || s.waiting > 0 {
		return
	}
	for _, t := range s.targets {
		if t.until > now {
			return
		}
	}
	for i := range s.classes {
		k := &s.classes[i]
		for k.idle.len() > 0 {
			k.virtual = max(k.virtual, k.idle.top().counter)
			k.forget(c)
		}
	}
	c.arm(&s.timer, 0)
	delete(c.servers, s.name)
}

func (a *app) list(f *flow) {
	if f.listed == 0 {
		a.flows = append(a.flows, f)
		f.listed = len(a.flows)
	}
}

func (a *app) unlist(f *flow) {
	if f.listed == 0 {
		return
	}
	last := a.flows[len(a.flows)-1]
	a.flows[f.listed-1], last.listed = last, f.listed
	a.flows[len(a.flows)-1] = nil
	a.flows = a.flows[:len(a.flows)-1]
	f.listed = 0
}

// touch 记下 s 要重新看一眼。
func (c *Core) touch(s *server) {
	s.pick = nil
	c.ready.remove(s)
	if !s.dirty {
		s.dirty = true
		c.dirty = append(c.dirty, s)
	}
}

// doubt 记下 a 停着的 flow 要重新判。
func (c *Core) doubt(a *app) {
	if !a.doubted {
		a.doubted = true
		c.doubtful = append(c.doubtful, a)
	}
}

// shift 在一个池变过之后记下谁受影响：server 的池影响它的排头；app 的池影响它停着的 flow 与它正当轮的那些。
func (c *Core) shift(s *server, a *app) {
	if s != nil && (s.pick != nil || s.active()) {
		c.touch(s)
	}
	if a == nil || len(a.flows) == 0 {
		return
	}
	c.doubt(a)
	for _, f := range a.flows {
		if f.head != nil && f.server.pick == f.head {
			c.touch(f.server)
		}
	}
}

// tick 处理到点的定时。
func (c *Core) tick(now Time) {
	c.now = max(c.now, now)
	for c.timers.len() > 0 && c.timers.top().at <= now {
		t := c.timers.top()
		c.arm(t, 0)
		switch {
		case t.server != nil:
			c.touch(t.server)
		case t.flow != nil:
			c.doubt(t.flow.app)
		default:
			c.resume(t.target)
		}
	}
}
