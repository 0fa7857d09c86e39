package gateway

import (
	"sync"
	"sync/atomic"
)

// keepBytes 是回池时肯留的缓冲；再大的交给回收器，免得几个大请求占住内存。
const keepBytes = 1 << 20

// buffer 是数着借出次数的字节缓冲；数到零才回池。
type buffer struct {
	b    []byte
	refs atomic.Int32
	pool *bufferPool
}

// bufferPool 是 buffer 的池，零值可用。
type bufferPool struct{ p sync.Pool }

// get 取一个空的、已借出一次的缓冲。
func (p *bufferPool) get() *buffer {
	b, ok := p.p.Get().(*buffer)
	if !ok {
		b = &buffer{}
	}
	b.pool, b.b = p, b.b[:0]
	b.refs.Store(1)
	return b
}

// Bytes 给出内容；最后一次 Release 之后不可再用。
func (b *buffer) Bytes() []byte {
	if b == nil {
		return nil
	}
	return b.b
}

// Retain 多借出一次。
func (b *buffer) Retain() { b.refs.Add(1) }

// Release 归还一次。
func (b *buffer) Release() {
	if b.refs.Add(-1) > 0 {
		return
	}
	if cap(b.b) > keepBytes {
		b.b = nil
	}
	b.pool.p.Put(b)
}
