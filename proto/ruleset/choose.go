package ruleset

import (
	"cmp"
	"math/bits"
	"slices"
)

// Verdict 是此刻一个目标能不能接一个请求，不能则为什么。零值是能。
type Verdict uint8

const (
	Startable Verdict = iota // 现在就能开始
	Full                     // 限额用尽
	Paused                   // 被上游 429，暂停中
	Ejected                  // 被摘出
	Tried                    // 这个请求已经试过它
	Disabled                 // server 被停用
)

var verdictNames = [...]string{"startable", "full", "paused", "ejected", "tried", "disabled"}

// String 给出 snake_case 的名字；不在集合里的值是 "unknown"。
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "unknown"
}

// Waitable 说这样的目标值不值得等：满的、暂停的会好，能开始的更好；停用的、摘出的与试过的不等。
func (v Verdict) Waitable() bool { return v == Startable || v == Full || v == Paused }

// Tiers 把接流量的目标（权重为正）按层分开，先用的在前；稳定排序，同层保持原来的次序。
func Tiers[T any](targets []T, tier, weight func(T) int64) [][]T {
	list := make([]T, 0, len(targets))
	for _, t := range targets {
		if weight(t) > 0 {
			list = append(list, t)
		}
	}
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(tier(a), tier(b)) })
	var tiers [][]T
	for i, t := range list {
		if i == 0 || tier(t) != tier(list[i-1]) {
			tiers = append(tiers, nil)
		}
		tiers[len(tiers)-1] = append(tiers[len(tiers)-1], t)
	}
	return tiers
}

// Choose 在 n 个目标里选一个：先取有能开始者的、tier 数最小的那一层，层内按权重选。
// 权重 ≤ 0 的从不被选；谁也不能开始则 ok 为假。r 是均匀的 64 位随机数，同样的 r 与判断给出同样的选择。
//
// verdict 对每个目标只问一次：它读的是会变的原子量，问两次可能自相矛盾。因此用加权蓄水池一趟选完，
// 每一步的随机数由 r 以 SplitMix64（Steele 等，OOPSLA 2014）推出。不要求按层排好，不分配。
func Choose(n int, tier func(i int) int64, weight func(i int) int64, verdict func(i int) Verdict, r uint64) (index int, ok bool) {
	var best int64
	var total uint64
	for i := range n {
		w, t := weight(i), tier(i)
		if w <= 0 || (ok && t > best) || verdict(i) != Startable {
			continue
		}
		if !ok || t < best {
			best, total = t, 0
		}
		total += uint64(w)
		r += 0x9e3779b97f4a7c15
		if hi, _ := bits.Mul64(mix(r), total); hi < uint64(w) {
			index = i
		}
		ok = true
	}
	return index, ok
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Relax 守住“模型最后一个可用的目标从不被摘出”：未停用的目标若全被摘出，返回最近被摘出的那个，它当作可用；
// 否则 ok 为假。满的、暂停的与试过的都不算被摘出，有它们在就不放宽。ejectedAt 是摘出的时刻，单位随意，
// 只比大小，相等取靠前的。权重 0 的目标不该在这 n 个之内。
func Relax(n int, verdict func(i int) Verdict, ejectedAt func(i int) int64) (index int, ok bool) {
	var newest int64
	for i := range n {
		switch verdict(i) {
		case Disabled:
		case Ejected:
			if at := ejectedAt(i); !ok || at > newest {
				index, newest, ok = i, at, true
			}
		default:
			return 0, false
		}
	}
	return index, ok
}
