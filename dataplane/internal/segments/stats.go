package segments

import (
	"cmp"
	"slices"
	"time"
)

// tally 是只增的数目，与最近的毛病；由 Log.mu 守着。
type tally struct {
	syncs, syncFailures, allocFailures, faults, refused int64
	lost, torn, ignored, recovered                      uint64
	problem                                             string
	notBefore                                           time.Time
}

// Stats 是此刻的数目。
type Stats struct {
	Segments int    // 有帧的段
	Bytes    int64  // 全部文件占的字节，连同预备的
	First    uint64 // 还在的最小序号；没有帧时是 Last+1
	Last     uint64 // 写下的最大序号；没有为 0
	Synced   uint64
	Ready    bool // 下一段预备好了
	Lost     uint64
	Suspect  uint64 // 落盘失败过、还没有 Drop 的帧

	Recovered     uint64 // 打开时读出的帧
	Torn          uint64 // 打开时截掉的、有长度而校验不符的最后一帧：只有断电才会有
	Ignored       uint64 // 打开时与别的段重叠、留着不动的文件
	Syncs         int64
	SyncFailures  int64
	AllocFailures int64
	Faults        int64 // 映射的页取不来的次数
	Refused       int64 // 没有地方写而拒绝的 Append

	Problem string // 最近一次毛病，英文一句；从来没有过为空
}

// Stats 返回此刻的数目。
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &l.tally
	st := Stats{
		Segments: len(l.segs), Bytes: l.bytes, First: l.next, Last: l.next - 1, Synced: l.synced, Ready: l.ahead != nil, Lost: t.lost,
		Recovered: t.recovered, Torn: t.torn, Ignored: t.ignored, Syncs: t.syncs, SyncFailures: t.syncFailures,
		AllocFailures: t.allocFailures, Faults: t.faults, Refused: t.refused, Problem: t.problem,
	}
	if len(l.segs) > 0 {
		st.First = l.segs[0].first
	}
	for _, h := range l.suspects {
		st.Suspect += h.Last - h.First + 1
	}
	return st
}

// Holes 是还没有 Drop 的、再也读不出的序号，从小到大。
func (l *Log) Holes() []Hole {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Hole(nil), l.holes...)
}

func sortHoles(list []Hole) {
	slices.SortFunc(list, func(a, b Hole) int { return cmp.Compare(a.First, b.First) })
}

// Span 是一段占的序号与字节；Drop(Last+1) 恰好删到它为止。
type Span struct {
	First, Last uint64
	Bytes       int64
}

// Spans 是各段，从旧到新；决定留多少的人凭它算。最后一段删不掉。
func (l *Log) Spans() []Span {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]Span, 0, len(l.segs))
	for _, s := range l.segs {
		list = append(list, Span{First: s.first, Last: s.end() - 1, Bytes: int64(len(s.mapping.Data()))})
	}
	return list
}
