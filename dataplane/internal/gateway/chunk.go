package gateway

import "sync"

// 读应答的缓冲：慢流一次只来一个事件，开着几千条时等着的都是小块；一次读满了才换成大的，让成串的块合并，
// 又稀疏下来就换回去。
const (
	smallChunk = 1 << 10
	largeChunk = 16 << 10
)

// chunkPool 是读应答用的定长缓冲的池，零值可用。
type chunkPool struct{ small, large sync.Pool }

// chunk 是借出的一块：small 与 large 恰有一个；用完 done。
type chunk struct {
	pool  *chunkPool
	small *[smallChunk]byte
	large *[largeChunk]byte
}

func (p *chunkPool) take() chunk {
	c := chunk{pool: p}
	c.shrink()
	return c
}

// room 是这一次读的地方。
func (c *chunk) room() []byte {
	if c.large != nil {
		return c.large[:]
	}
	return c.small[:]
}

// fit 在上一次读的 n 字节已经送出之后调用，按它换大或换小。
func (c *chunk) fit(n int) {
	switch {
	case c.small != nil && n == smallChunk:
		c.done()
		c.grow()
	case c.large != nil && n < smallChunk:
		c.done()
		c.shrink()
	}
}

func (c *chunk) grow() {
	b, ok := c.pool.large.Get().(*[largeChunk]byte)
	if !ok {
		b = new([largeChunk]byte)
	}
	c.large = b
}

func (c *chunk) shrink() {
	b, ok := c.pool.small.Get().(*[smallChunk]byte)
	if !ok {
		b = new([smallChunk]byte)
	}
	c.small = b
}

func (c *chunk) done() {
	if c.small != nil {
		c.pool.small.Put(c.small)
	} else {
		c.pool.large.Put(c.large)
	}
	c.small, c.large = nil, nil
}
