package schedule

// entry 是一个在等的请求在一个候选目标的队里站的一处。同一条 lane 里的 entry 组成一棵树堆（treap）：
// 既要最早的一个，又要数得出前面有几个，还要从中间离开，都是 O(log n)，而且内存就在 Waiter 里。
type entry struct {
	w           *Waiter
	lane        *lane
	left, right *entry
	priority    uint32
	candidate   int32
	// counted 说它代表 w 在这个 server 的队里；同一 server 的第二个候选不再数。
	counted bool
	size    int64 // 子树里 counted 的个数
}

// waiterSpot 是 Core 记在 Waiter 上的。
type waiterSpot struct {
	entries  []entry
	first    [2]entry // 候选不多时不必另分内存
	seed     uint64
	deadline int  // 在期限堆里的位置，从 1 起
	prefer   Time // 在此之前只去此刻没有暂停的最好一层，见 Core.preferring
	queued   bool
}

// seat 给 n 处站位，重用从前的内存。
func (s *waiterSpot) seat(n int) {
	switch {
	case n <= len(s.first):
		s.entries = s.first[:0]
	case cap(s.entries) < n:
		s.entries = make([]entry, 0, n)
	default:
		s.entries = s.entries[:0]
	}
}

// before 是队里的先后：到达，再是节点与序号。
func before(a, b *Waiter) bool {
	if a.Arrived != b.Arrived {
		return a.Arrived < b.Arrived
	}
	if a.Node != b.Node {
		return a.Node < b.Node
	}
	return a.ID < b.ID
}

func (e *entry) before(o *entry) bool {
	if e.w == o.w {
		return e.candidate < o.candidate
	}
	if broken(bugLIFO) {
		return before(o.w, e.w)
	}
	return before(e.w, o.w)
}

func (e *entry) count() int64 {
	if e == nil {
		return 0
	}
	return e.size
}

func (e *entry) sum() {
	e.size = e.left.count() + e.right.count()
	if e.counted {
		e.size++
	}
}

// plant 把 e 放进树 t，返回新的根。
func plant(t, e *entry) *entry {
	if t == nil {
		e.sum()
		return e
	}
	if e.priority > t.priority {
		e.left, e.right = split(t, e)
		e.sum()
		return e
	}
	if e.before(t) {
		t.left = plant(t.left, e)
	} else {
		t.right = plant(t.right, e)
	}
	t.sum()
	return t
}

func split(t, e *entry) (left, right *entry) {
	if t == nil {
		return nil, nil
	}
	if t.before(e) {
		t.right, right = split(t.right, e)
		t.sum()
		return t, right
	}
	left, t.left = split(t.left, e)
	t.sum()
	return left, t
}

// uproot 把 e 从树 t 里取走，返回新的根。
func uproot(t, e *entry) *entry {
	if t == e {
		return join(e.left, e.right)
	}
	if e.before(t) {
		t.left = uproot(t.left, e)
	} else {
		t.right = uproot(t.right, e)
	}
	t.sum()
	return t
}

func join(a, b *entry) *entry {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority:
		a.right = join(a.right, b)
		a.sum()
		return a
	}
	b.left = join(a, b.left)
	b.sum()
	return b
}

func (e *entry) first() *entry {
	for e != nil && e.left != nil {
		e = e.left
	}
	return e
}

// ahead 数 e 这棵树里排在 w 前面的。
func (e *entry) ahead(w *Waiter) (n int64) {
	for e != nil {
		if e.w == w || before(w, e.w) {
			e = e.left
			continue
		}
		n += e.left.count()
		if e.counted {
			n++
		}
		e = e.right
	}
	return n
}

// hash 把一个请求的名字散成 64 位（FNV-1a，再以 SplitMix64 收尾）：树堆的优先级与目标的取舍都由它推出，不掷骰。
func hash(node string, id uint64) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(node) {
		h = (h ^ uint64(node[i])) * 0x100000001b3
	}
	return mix(h ^ mix(id))
}

func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
