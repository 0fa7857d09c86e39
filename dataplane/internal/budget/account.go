package budget

import (
	"math/bits"
	"slices"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/ruleset"
)

// account 是一个 app 的账；由 Guard.mu 看守。
type account struct {
	since time.Time // 本进程从何时起知道它有预算

	known bool      // told 有内容
	told  status    // 控制面最近说的
	heard time.Time // 那是何时听到的；零值即来自盘上
	again time.Time // 失去联系之后，从何时起又接连听到；零值即没有
	voice time.Time // 最近一次听到，不论信没信

	start, end time.Time // 在用的一期
	own        []parcel  // 结了账而 told 里没有的，由旧到新
	open       Spend     // 同上，还没有盖上记录的位置
	flight     Spend     // 在途各请求预留的
	claimed    Spend     // 陈旧时已经在盘上记作花掉的
}

// status 是控制面说的：[start, end) 里已入库 spent，那时有 nodes 个节点。
type status struct {
	start, end time.Time
	spent      Spend
	nodes      int64
}

// parcel 是结了账的一笔；各份记录的游标都到了 marks，它就已入库。
type parcel struct {
	Spend
	sealed time.Time
	marks  []Mark
}

// maxParcels 是至多分几笔记；再多就并成一笔，晚一些去掉。
const maxParcels = 64

// fresh 说控制面的话还作不作数。
func (a *account) fresh(now time.Time, within time.Duration) bool {
	return !a.heard.IsZero() && now.Sub(a.heard) <= within
}

// trusts 说这一刻听到的该不该信。失去过联系的先不信：控制面刚回来时，别的节点攒下的还没有交上去，
// 它说的花费太小；信之前仍守着旧的那一份。
func (a *account) trusts(now time.Time, fresh, settle time.Duration) bool {
	if !a.known || a.fresh(now, fresh) {
		a.again = time.Time{}
		return true
	}
	if a.again.IsZero() || now.Sub(a.voice) > fresh {
		a.again = now
	}
	a.voice = now
	if now.Sub(a.again) < settle {
		return false
	}
	a.again = time.Time{}
	return true
}

// roll 换到该在的一期。新鲜时就是控制面说的那一期，否则由 now 算，只往后换。
func (a *account) roll(b *state.Budget, now time.Time, within time.Duration) {
	start, end := a.told.start, a.told.end
	if !a.fresh(now, within) {
		if now.Before(a.end) {
			return
		}
		start, end = ruleset.PeriodAt(b.Period, b.Zone, now)
	}
	if start.After(a.start) {
		a.own = slices.DeleteFunc(a.own, func(p parcel) bool { return p.sealed.Before(start) })
		a.claimed = Spend{}
	}
	a.start, a.end = start, end
}

// spent 是控制面说的在用的这一期里的花费；它说的是更早的一期，那就是零。
func (a *account) spent() Spend {
	if a.told.start.Before(a.start) {
		return Spend{}
	}
	return a.told.spent
}

// mine 是本节点花了而控制面还没有算进去的。
func (a *account) mine() Spend {
	sum := a.open
	for _, p := range a.own {
		sum = sum.plus(p.Spend)
	}
	return sum
}

// seal 给没有盖过的账盖上 marks。
func (a *account) seal(now time.Time, marks []Mark) {
	if a.open == (Spend{}) {
		return
	}
	a.own = append(a.own, parcel{Spend: a.open, sealed: now, marks: marks})
	a.open = Spend{}
	if len(a.own) > maxParcels {
		a.own[1].Spend, a.own[1].marks = a.own[1].plus(a.own[0].Spend), later(a.own[0].marks, a.own[1].marks)
		a.own = slices.Delete(a.own, 0, 1)
	}
}

// later 是先后两次的位置里各份最后的；后一次没有的，是它久不动了。不改入参：各本账共用着。
func later(was, now []Mark) []Mark {
	all := slices.Clip(now)
	for _, m := range was {
		if !slices.ContainsFunc(now, func(n Mark) bool { return n.Epoch == m.Epoch }) {
			all = append(all, m)
		}
	}
	return all
}

// booked 去掉已入库的：cursors 是各 epoch 入库到了哪里。
func (a *account) booked(cursors map[uint64]uint64) {
	a.own = slices.DeleteFunc(a.own, func(p parcel) bool {
		return !slices.ContainsFunc(p.marks, func(m Mark) bool { return m.Seq > cursors[m.Epoch] })
	})
}

// percent 是花掉的占预算的百分之几，两项里大的那个，向下取整。
func (a *account) percent(b *state.Budget) int64 {
	used := a.spent().plus(a.mine())
	return max(percentOf(used.Nano, b.AmountNano), percentOf(used.Tokens, b.Tokens))
}

// percentOf 不溢出；没有限就是 0，离谱的停在一百万。
func percentOf(used, limit int64) int64 {
	const most = 1_000_000
	if limit <= 0 || used <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(used), 100)
	if hi >= uint64(limit) {
		return most
	}
	q, _ := bits.Div64(hi, lo, uint64(limit))
	return int64(min(q, most))
}
