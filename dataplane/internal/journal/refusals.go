package journal

import (
	"cmp"
	"slices"
	"sync"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// maxRefusalKeys 是一秒内分得开的 app × model × code 的数目；超出的不再按模型分（app 与 code 的数目受配置所限）。
const maxRefusalKeys = 1_000

type refusalKey struct{ app, model, code string }

// refusals 合计正在过去的这一秒。
type refusals struct {
	mu     sync.Mutex
	second int64
	counts map[refusalKey]int64
}

// over 说 now 这一秒时，合计着的那一秒已经过去。晚到一秒的（读钟与拿锁之间）仍算它；
// 钟往回走得更多，等它追上来可能要很久，也算过去。
func (f *refusals) over(now int64) bool { return now > f.second || now < f.second-1 }

// add 记一次，返回因此结束的那些秒的记录。
func (f *refusals) add(second int64, app, model, code string) []*usagev1.Refusals {
	f.mu.Lock()
	defer f.mu.Unlock()
	var done []*usagev1.Refusals
	if f.over(second) {
		done = f.drain()
		f.second = second
	}
	if f.counts == nil {
		f.counts = make(map[refusalKey]int64)
	}
	k := refusalKey{app, model, code}
	if _, known := f.counts[k]; !known && len(f.counts) >= maxRefusalKeys {
		k.model = ""
	}
	f.counts[k]++
	return done
}

// ended 取走已经过去的秒。
func (f *refusals) ended(second int64) []*usagev1.Refusals {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over(second) {
		return nil
	}
	return f.drain()
}

// take 取走一切，包括还没过完的这一秒；其后同一秒的再成一条。
func (f *refusals) take() []*usagev1.Refusals {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.drain()
}

func (f *refusals) drain() []*usagev1.Refusals {
	if len(f.counts) == 0 {
		return nil
	}
	list := make([]*usagev1.Refusals, 0, len(f.counts))
	for k, n := range f.counts {
		list = append(list, &usagev1.Refusals{SecondUnix: bound(f.second, maxNumber), App: k.app, Model: k.model, Code: k.code, Count: n})
	}
	slices.SortFunc(list, func(x, y *usagev1.Refusals) int {
		return cmp.Or(cmp.Compare(x.App, y.App), cmp.Compare(x.Model, y.Model), cmp.Compare(x.Code, y.Code))
	})
	clear(f.counts)
	return list
}
