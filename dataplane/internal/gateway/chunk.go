package gateway

import "sync"

// 读应答的缓冲：慢流一次只来一小块，开着几千条时占的就是小的；一次读满了才换成大的，让成串的块合并。
const (
	smallChunk = 4 << 10
	largeChunk = 16 << 10
)

// chunkPool 是读应答用的定长缓冲的池，零值可用。
type chunkPool struct{ small, large sync.Pool }

// chunk 是借出的一块；用完 done。
type chunk struct {
	pool  *chunkPool
	small *[smallChunk]byte
	large *[largeChunk]byte
}

func (p *chunkPool) take() chunk {
	b, ok := p.small.Get().(*[smallChunk]byte)
	if !ok {
		b = new([smallChunk]byte)
	}
	return chunk{pool: p, small: b}
}

// room 是这一次读的地方。
func (c *chunk) room() []byte {
	if c.large != nil {
		return c.large[:]
	}
	return c.small[:]
}

// grow 在上一次读的 n 字节已经送出之后调用；读满了就换大的。
func (c *chunk) grow(n int) {
	if c.large != nil || n < smallChunk {
		return
	}
	b, ok := c.pool.large.Get().(*[largeChunk]byte)
	if !ok {
		b = new([largeChunk]byte)
	}
	c.large = b
}

func (c *chunk) done() {
	c.pool.small.Put(c.small)
	if c.large != nil {
		c.pool.large.Put(c.large)
	}
}
