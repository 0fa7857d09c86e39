package schedule

// minHeap 是记得每项在哪里的二叉小根堆；slot 指着的数从 1 起，0 即不在堆里。
type minHeap[T any] struct {
	items []T
	less  func(a, b T) bool
	slot  func(T) *int
}

func (h *minHeap[T]) len() int { return len(h.items) }

// top 是最小的一项；堆空时不可调用。
func (h *minHeap[T]) top() T { return h.items[0] }

func (h *minHeap[T]) push(x T) {
	h.items = append(h.items, x)
	*h.slot(x) = len(h.items)
	h.up(len(h.items) - 1)
}

// remove 取走 x；不在堆里则什么也不做。
func (h *minHeap[T]) remove(x T) {
	i := *h.slot(x) - 1
	if i < 0 {
		return
	}
	last := len(h.items) - 1
	h.swap(i, last)
	var none T
	h.items[last] = none
	h.items = h.items[:last]
	*h.slot(x) = 0
	if i < last && !h.up(i) {
		h.down(i)
	}
}

// fix 在 x 的次序变过之后放好它。
func (h *minHeap[T]) fix(x T) {
	if i := *h.slot(x) - 1; i >= 0 && !h.up(i) {
		h.down(i)
	}
}

func (h *minHeap[T]) up(i int) (moved bool) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(h.items[i], h.items[parent]) {
			break
		}
		h.swap(i, parent)
		i, moved = parent, true
	}
	return moved
}

func (h *minHeap[T]) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h.items); child++ {
			if h.less(h.items[child], h.items[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

func (h *minHeap[T]) swap(i, j int) {
	if i == j {
		return
	}
	h.items[i], h.items[j] = h.items[j], h.items[i]
	*h.slot(h.items[i]), *h.slot(h.items[j]) = i+1, j+1
}

// timer 是到点要再看一眼的一件事；三个归属恰有一个非空。
type timer struct {
	at     Time
	slot   int
	server *server
	flow   *flow
	target *target
}

func newTimers() minHeap[*timer] {
	return minHeap[*timer]{
		less: func(a, b *timer) bool { return a.at < b.at },
		slot: func(t *timer) *int { return &t.slot },
	}
}

// arm 把 t 定在 at；0 即撤去。
func (c *Core) arm(t *timer, at Time) {
	switch {
	case at == 0:
		c.timers.remove(t)
		t.at = 0
	case t.slot == 0:
		t.at = at
		c.timers.push(t)
	case t.at != at:
		t.at = at
		c.timers.fix(t)
	}
}
