package journal

// tickets 是盘上进行中的请求：凭它们知道哪些开头还不可以删。由 disk.mu 守着；用过的格子再用，不分配。
type tickets struct {
	last  uint64 // 发过的最大票号
	list  []ticketSlot
	spare []int32
}

// ticketSlot 是一个请求的开头与最近一件事在哪一帧；id 为 0 即空着。
type ticketSlot struct{ id, base, latest uint64 }

func (t *tickets) take(frame uint64) (id uint64, slot int32) {
	t.last++
	if n := len(t.spare); n > 0 {
		slot = t.spare[n-1]
		t.spare = t.spare[:n-1]
	} else {
		t.list = append(t.list, ticketSlot{})
		slot = int32(len(t.list) - 1)
	}
	t.list[slot] = ticketSlot{id: t.last, base: frame, latest: frame}
	return t.last, slot
}

func (t *tickets) touch(k Ticket, frame uint64) {
	if s := &t.list[k.slot]; s.id == k.id {
		s.latest = frame
	}
}

func (t *tickets) free(k Ticket) {
	if s := &t.list[k.slot]; s.id == k.id {
		*s = ticketSlot{}
		t.spare = append(t.spare, k.slot)
	}
}

// which 是合乎 match 的那些，按票号。
func (t *tickets) which(match func(*ticketSlot) bool) map[uint64]*ticketSlot {
	found := map[uint64]*ticketSlot{}
	for i := range t.list {
		if s := &t.list[i]; s.id != 0 && match(s) {
			found[s.id] = s
		}
	}
	return found
}

// oldest 是最早的开头在哪一帧；没有进行中的为 none。
func (t *tickets) oldest(none uint64) uint64 {
	for i := range t.list {
		if s := &t.list[i]; s.id != 0 {
			none = min(none, s.base)
		}
	}
	return none
}
