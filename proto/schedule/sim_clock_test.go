package schedule

// simClock 是一个进程自己的单调钟：起点任意，快慢至多差百分之一。
type simClock struct {
	off  int64
	rate float64
}

// at 是真实时刻 t 时这只钟的读数。
func (c simClock) at(t int64) Time { return Time(c.off + int64(float64(t)*c.rate)) }

// when 是这只钟最早读到 x 的真实时刻。
func (c simClock) when(x Time) int64 {
	t := int64(float64(int64(x)-c.off) / c.rate)
	for c.at(t) < x {
		t++
	}
	return t
}

// simAgenda 是按真实时刻排的待办；同一时刻先排的先做，因此一个种子只有一种走法。
type simAgenda struct {
	now    int64
	seq    uint64
	events simHeap
	done   int64
}

type simEvent struct {
	at  int64
	seq uint64
	do  func()
}

// simHeap 以 at、seq 为序的小顶堆。
type simHeap []simEvent

func (h simHeap) less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}

func (h simHeap) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if !h.less(i, p) {
			return
		}
		h[i], h[p] = h[p], h[i]
		i = p
	}
}

func (h simHeap) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h.less(c+1, c) {
			c++
		}
		if !h.less(c, i) {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// at 在真实时刻 t 做 do；过去的时刻即现在。
func (a *simAgenda) at(t int64, do func()) {
	a.seq++
	a.events = append(a.events, simEvent{at: max(t, a.now), seq: a.seq, do: do})
	a.events.up(len(a.events) - 1)
}

// next 做下一件不晚于 until 的事；没有则把时间走到 until 并返回 false。
func (a *simAgenda) next(until int64) bool {
	if len(a.events) == 0 || a.events[0].at > until {
		a.now = until
		return false
	}
	e := a.events[0]
	n := len(a.events) - 1
	a.events[0] = a.events[n]
	a.events[n] = simEvent{}
	a.events = a.events[:n]
	a.events.down(0)
	a.now = e.at
	a.done++
	e.do()
	return true
}
