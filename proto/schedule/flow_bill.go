package schedule

// perWeight 把代价除以权重，向零取整。权重至多 1000，所以 1 点代价也记得下，没有谁白拿。
func perWeight(cost, weight int64) int64 { return cost * scale / max(1, weight) }

// rest 在 f 没有谁在等之后收起它：计数不高于虚时间的忘掉，回来时提到虚时间，结果是一样的。
func (c *Core) rest(f *flow) {
	if f.waiting > 0 {
		return
	}
	f.app.unlist(f)
	if f.idle == 0 {
		f.class.idle.push(f)
	}
	f.class.forget(c)
}

// forget 忘掉计数已被虚时间追上的闲着的 flow，使内存只与真正领先的 app 个数有关。
func (k *class) forget(c *Core) {
	for k.idle.len() > 0 && k.idle.top().counter <= k.virtual {
		f := k.idle.top()
		k.idle.remove(f)
		delete(k.flows, f.app.name)
		a := f.app
		a.refs--
		c.release(a)
		*f = flow{lanes: f.lanes[:0]}
		c.spareFlows = append(c.spareFlows, f)
	}
}

// bill 把代价记在 f 与它的类别上。dispatched 说这是一次派发：f 正是该轮到的，虚时间走到它的计数。
// 不经过排队的服务在没有谁在场时同样推动虚时间，否则清闲时攒下的差距会在拥挤时一并清算。
func (c *Core) bill(f *flow, weight, cost int64, dispatched bool) {
	k, s := f.class, f.server
	if cost >= 0 {
		if f.active == 0 {
			f.counter = max(f.counter, k.virtual)
		}
		if k.active.len() == 0 {
			k.counter = max(k.counter, s.virtual)
		}
	}
	if dispatched || cost >= 0 && k.active.len() == 0 {
		k.virtual = max(k.virtual, f.counter)
	}
	if dispatched || cost >= 0 && !s.active() {
		s.virtual = max(s.virtual, k.counter)
	}
	f.counter += perWeight(cost, weight)
	k.counter += perWeight(cost, k.weight)
	if f.active > 0 {
		k.active.fix(f)
	}
	if f.idle > 0 {
		k.idle.fix(f)
	}
	k.forget(c)
	c.touch(s)
}
