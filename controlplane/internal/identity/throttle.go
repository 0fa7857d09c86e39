package identity

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"
)

// Tries 是一个桶里的失败。零值是没有失败过。
type Tries struct {
	Failures int
	// FreeAt 之前不许再试；LastAt 是最近一次。
	FreeAt, LastAt time.Time
}

// Rule 是节流的规矩：头 Free 次不等，此后等 Base，每次加倍，至多 Cap。Forget 这么久没有失败，从头算起。
type Rule struct {
	Free              int
	Base, Cap, Forget time.Duration
}

// AccountRule 与 AddressRule 是账号与地址各自的：一个地址后面可能有许多人，所以宽些。
func AccountRule() Rule {
	return Rule{Free: 5, Base: time.Second, Cap: time.Minute, Forget: 15 * time.Minute}
}

// AddressRule 见 AccountRule。
func AddressRule() Rule {
	return Rule{Free: 20, Base: time.Second, Cap: time.Minute, Forget: 15 * time.Minute}
}

// Charge 先记一笔失败；还没到可以再试的时候则不记，给出还要等多久。
// 比 Cap 还长的等待是钟拨回来之前记的，不作数：不然钟差了多久，人就被锁在外面多久。
func (r Rule) Charge(t Tries, now time.Time) (Tries, time.Duration) {
	if wait := t.FreeAt.Sub(now); wait > 0 && wait <= r.Cap {
		return t, wait
	}
	if now.Sub(t.LastAt) > r.Forget {
		t.Failures = 0
	}
	t.Failures++
	return Tries{Failures: t.Failures, FreeAt: now.Add(r.delay(t.Failures)), LastAt: now}, 0
}

// delay 是第 failures 次失败之后要等的。
func (r Rule) delay(failures int) time.Duration {
	if failures < r.Free {
		return 0
	}
	d := r.Base
	for range failures - r.Free {
		if d *= 2; d >= r.Cap {
			return r.Cap
		}
	}
	return min(d, r.Cap)
}

// buckets 是每一种的桶数：表因此有上限，而两个无关的人分到一桶的机会可以不计。
const buckets = 1 << 16

// Bucket 是一桶与它的规矩。
type Bucket struct {
	Number int32
	Rule   Rule
}

// accountBucket 的账号不问存不存在。from 非空则只算从那里来的：三十天内从那里登录成功过，别处的失败不该拖累他。
func accountBucket(name string, from string) Bucket {
	return Bucket{Number: place("account", name+"\x00"+from), Rule: AccountRule()}
}

func addressBucket(addr netip.Addr) Bucket {
	return Bucket{Number: buckets + place("address", network(addr)), Rule: AddressRule()}
}

func place(kind, text string) int32 {
	sum := sha256.Sum256([]byte(kind + "\x00" + text))
	return int32(binary.BigEndian.Uint32(sum[:]) % buckets)
}

// network 把一户的地址归在一起：IPv6 的 /64 是一家人随手可换的。
func network(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}
