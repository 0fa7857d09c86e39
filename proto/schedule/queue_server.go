package schedule

// server 是一个上游的池与它的队。
type server struct {
	name       string
	pools      pools
	maxWaiting int64
	classes    [3]class
	virtual    int64 // 类别这一层的虚时间
	waiting    int64 // 站在这里的请求
	targets    map[string]*target
	// pick 是按公平该轮到的一个，以最近一次 look 为准；blocked 非零说 server 的这些池挡着它，整个队就等着它。
	pick    *entry
	blocked mask
	dirty   bool
	ready   int    // 在 Core.ready 里的位置，从 1 起；非零即 pick 现在就能开始
	hop     uint64 // 这一次派发已经让过它
	timer   timer
	pace    pace // 一个请求多久
	tokens  pace // 一个请求从 token 池里扣多少
	fees    pace // 一个有 token 的请求在公平账上记多少
}

// target 是一个 server 上的一个上游模型；paused 以最近一次 tick 为准。
type target struct {
	name   string
	server *server
	until  Time
	paused bool
	lanes  []*lane
	timer  timer
}

// lane 是一个 flow 里等一个 target 的那些，按到达的先后。
type lane struct {
	flow   *flow
	target *target
	root   *entry
	head   *entry
	listed int // 在 target.lanes 里的位置，从 1 起
}

func newServer(name string) *server {
	s := &server{name: name, targets: map[string]*target{}}
	s.classes = [3]class{newClass(Interactive.Weight()), newClass(Standard.Weight()), newClass(Batch.Weight())}
	if broken(bugClassIgnored) {
		s.classes = [3]class{newClass(1), newClass(1), newClass(1)}
	}
	s.timer.server = s
	return s
}

// active 说有没有 flow 在场：它们都被 server 的池挡着，或者还没来得及派发。
func (s *server) active() bool {
	return s.classes[0].active.len()+s.classes[1].active.len()+s.classes[2].active.len() > 0
}

// next 是该轮到的 flow：先类别后 app，各取计数最小的；没有谁在场为 nil。
func (s *server) next() *flow {
	var best *class
	for i := range s.classes {
		k := &s.classes[i]
		if k.active.len() == 0 {
			continue
		}
		if best == nil || k.counter < best.counter ||
			k.counter == best.counter && before(k.active.top().head.w, best.active.top().head.w) {
			best = k
		}
	}
	if best == nil {
		return nil
	}
	return best.active.top()
}

func (c *Core) target(s *server, name string) *target {
	t := s.targets[name]
	if t != nil {
		return t
	}
	if n := len(c.spareTargets); n > 0 {
		t = c.spareTargets[n-1]
		c.spareTargets = c.spareTargets[:n-1]
	} else {
		t = &target{}
	}
	t.name, t.server = name, s
	t.timer.target = t
	s.targets[name] = t
	return t
}

// paused 说一个目标此刻是否在暂停。
func (s *server) paused(now Time, upstream string) bool {
	t := s.targets[upstream]
	return t != nil && t.until > now
}

// lane 找到或新立 f 等 t 的那一条。
func (c *Core) lane(now Time, f *flow, t *target) *lane {
	for _, l := range f.lanes {
		if l.target == t {
			return l
		}
	}
	var l *lane
	if n := len(c.spareLanes); n > 0 {
		l = c.spareLanes[n-1]
		c.spareLanes = c.spareLanes[:n-1]
	} else {
		l = &lane{}
	}
	t.paused = t.until > now
	t.lanes = append(t.lanes, l)
	*l = lane{flow: f, target: t, listed: len(t.lanes)}
	f.lanes = append(f.lanes, l)
	c.watch(t)
	return l
}

// drop 收起空了的 l。
func (c *Core) drop(l *lane) {
	t, f := l.target, l.flow
	last := t.lanes[len(t.lanes)-1]
	t.lanes[l.listed-1], last.listed = last, l.listed
	t.lanes[len(t.lanes)-1] = nil
	t.lanes = t.lanes[:len(t.lanes)-1]
	for i, other := range f.lanes {
		if other == l {
			end := len(f.lanes) - 1
			f.lanes[i] = f.lanes[end]
			f.lanes[end] = nil
			f.lanes = f.lanes[:end]
			break
		}
	}
	*l = lane{}
	c.spareLanes = append(c.spareLanes, l)
	c.watch(t)
	if len(t.lanes) == 0 && !t.paused {
		c.discard(t)
	}
}

// discard 忘掉没有谁在等、也不在暂停的目标。
func (c *Core) discard(t *target) {
	delete(t.server.targets, t.name)
	*t = target{lanes: t.lanes[:0]}
	c.spareTargets = append(c.spareTargets, t)
}

// watch 只在暂停着的目标有谁在等时定时：没有谁在等的暂停到点无事可做。
func (c *Core) watch(t *target) {
	if t.paused && len(t.lanes) > 0 {
		c.arm(&t.timer, t.until)
		return
	}
	c.arm(&t.timer, 0)
}
