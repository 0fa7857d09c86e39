package journal

import "slices"

// maxCheckpoints 约 0.7 MB；每秒五批够记近半小时，更旧的游标只会来自恢复的旧备份。
const maxCheckpoints = 8_192

// checkpoint 是控制面收到 seq 为止的累计数，含它经过的 Gap 的 lost。
type checkpoint struct {
	seq    uint64
	totals Totals
}

// checkpoints 按 seq 升序。零值可用：序号 0 的累计数是零，不必存。
type checkpoints struct{ list []checkpoint }

func (c *checkpoints) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(c.list, seq, func(p checkpoint, seq uint64) int {
		switch {
		case p.seq < seq:
			return -1
		case p.seq > seq:
			return 1
		}
		return 0
	})
}

// put 记下一批末尾的累计数；同一序号后到者为准：控制面接着收的是后送的那一批。
func (c *checkpoints) put(seq uint64, t Totals) {
	i, found := c.find(seq)
	if found {
		c.list[i].totals = t
		return
	}
	if len(c.list) == maxCheckpoints {
		if i == 0 {
			return
		}
		c.list = slices.Delete(c.list, 0, maxCheckpoints/8)
		i, _ = c.find(seq)
	}
	c.list = slices.Insert(c.list, i, checkpoint{seq, t})
}

// floor 是不大于 seq 的最近检查点；一个也没有则是序号 0。
func (c *checkpoints) floor(seq uint64) checkpoint {
	i, found := c.find(seq)
	if found {
		return c.list[i]
	}
	if i == 0 {
		return checkpoint{}
	}
	return c.list[i-1]
}

// ceil 是大于 seq 的最近检查点。
func (c *checkpoints) ceil(seq uint64) (checkpoint, bool) {
	i, found := c.find(seq)
	if found {
		i++
	}
	if i == len(c.list) {
		return checkpoint{}, false
	}
	return c.list[i], true
}
