package catalog

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"io"
	"slices"
	"time"
)

// Mint 造 key：算 MAC、取随机数、看钟。
type Mint struct {
	// MAC 是 HMAC-SHA-256(pepper, secret)；必填。
	MAC func(secret string) [32]byte
	// Rand 为 nil 用 crypto/rand。
	Rand io.Reader
	// Now 为 nil 用 time.Now。
	Now func() time.Time
}

// IssuedKey 是刚生成的 secret，只有这一次机会交给调用者；调用者自己给出的 secret 不在其列。
type IssuedKey struct {
	App, Name string
	Secret    Secret
}

func (m Mint) bytes(n int) []byte {
	b := make([]byte, n)
	src := m.Rand
	if src == nil {
		src = rand.Reader
	}
	if _, err := io.ReadFull(src, b); err != nil {
		panic("catalog: randomness is gone: " + err.Error())
	}
	return b
}

// newSecret 给出 "vg-" 加 43 个 base64url 字符（256 位）。
func (m Mint) newSecret() string {
	return "vg-" + base64.RawURLEncoding.EncodeToString(m.bytes(32))
}

// newID 给出第四版 UUID（RFC 9562）。
func (m Mint) newID() string {
	b := m.bytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// now 截到微秒，与数据库的精度一致。
func (m Mint) now() time.Time {
	if m.Now == nil {
		return time.Now().UTC().Truncate(time.Microsecond)
	}
	return m.Now().UTC().Truncate(time.Microsecond)
}

func sortKeys(keys []*Key) {
	slices.SortFunc(keys, func(a, b *Key) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
}
