package state

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"

	"github.com/vega-gateway/vega/proto/ruleset"
)

// macPool 存着已经吃进 pepper 的 HMAC：每次查钥匙省去两次压缩与全部分配。
type macPool struct{ pool sync.Pool }

// mac 是一份可重用的 HMAC 与它的缓冲；缓冲随它在堆上，经接口传递时才不会逐次逃逸。
type mac struct {
	hash hash.Hash
	in   [ruleset.MaxSecretLen]byte
	out  [sha256.Size]byte
}

func newMACPool(pepper []byte) *macPool {
	own := append([]byte(nil), pepper...)
	return &macPool{pool: sync.Pool{New: func() any { return &mac{hash: hmac.New(sha256.New, own)} }}}
}

func (p *macPool) sum(secret string) [sha256.Size]byte {
	m := p.pool.Get().(*mac)
	m.hash.Reset()
	n := copy(m.in[:], secret)
	m.hash.Write(m.in[:n])
	if n < len(secret) {
		m.hash.Write([]byte(secret[n:]))
	}
	m.hash.Sum(m.out[:0])
	sum := m.out
	clear(m.in[:n]) // 不让明文秘密在池里久留
	p.pool.Put(m)
	return sum
}
