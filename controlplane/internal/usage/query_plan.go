package usage

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Span 是 [From, To)，两端都是那一级的起点。
type Span struct{ From, To time.Time }

// Part 是从一级读的几段，升序、不相邻、不相交。
type Part struct {
	Level Level
	Spans []Span
}

// Move 是按 UTC 的一天算进了 Wrong 桶、其实属于 Right 桶的一段；桶从 1 数起。
type Move struct {
	Span
	Right, Wrong int
}

// MovePart 是从一级读的、要挪的几段，升序。
type MovePart struct {
	Level Level
	Moves []Move
}

// Reading 说一个查询读哪些行：各级互不相交的几段，加上还没有并入的增量。
type Reading struct {
	// From 与 To 是真正算进来的时间段，可能比所问的宽；没有终点的查询 To 仍是所问的。
	From, To time.Time
	// Deltas 是增量里要的分钟。
	Deltas Span
	// Parts 的每一行都整个在一个桶里。
	Parts []Part
	// Sums 与 Moves 是另一种读法，只对可以相减的数：Sums 里 UTC 的一天算在它的正午所在的桶里，再由 Moves 把不属于那个桶的
	// 几小时挪过去。读的行少得多；不必这样时 Sums 就是 Parts，Moves 为空。
	Sums  []Part
	Moves []MovePart
	// Buckets 是各时间桶的起点，升序；Interval 为 none 时为 nil。
	Buckets []time.Time
	// Single 说各级只读按单个维度合计的那一份，By 是哪一个维度，空是全部。
	Single bool
	By     Dimension
	Notes  []string
}

// PlanQuery 决定已经 normalize 的 q 读哪些行；floors 是各级从何时起齐全，没有的从来就全。
// 粗的一级只用在它的一行不跨桶、不出范围的地方，其余往细处读；细的一级已经删去时，两端放宽到留着的一级并记在 Notes，
// 桶放不宽，为 vegaerr.Invalid。纯函数。
func PlanQuery(q Query, floors map[Level]time.Time) (Reading, error) {
	kept := keptSince(floors)
	loc, err := time.LoadLocation(q.TimeZone)
	if err != nil {
		return Reading{}, fmt.Errorf("load time zone: %w", err)
	}
	r := Reading{From: q.From, To: q.To}
	end := q.To
	if q.open {
		// 此刻之后什么也没有：到这一天的末尾为止，可以整行地读。
		end = ceil(q.To.Add(time.Minute), day)
	}
	r.From, end = widen(&r, q, kept, end)
	r.Deltas = Span{latest(r.From, kept[LevelDay]), end}
	r.Buckets = buckets(r.From, end, q.Interval, loc)
	r.Parts = parts(r.split(Span{r.From, end}, LevelDay))
	r.Sums = r.Parts
	for _, p := range r.Parts {
		if p.Level < LevelDay && p.Spans[0].From.Before(kept[p.Level]) {
			return Reading{}, forgotten(q, p.Level, kept[p.Level])
		}
	}
	if r.From.Before(kept[LevelDay]) {
		r.Notes = append(r.Notes, fmt.Sprintf("nothing is kept from before %s", stamp(kept[LevelDay])))
	}
	if q.Interval == IntervalDay {
		r.shift(end)
	}
	r.By, r.Single = single(q)
	return r, nil
}

// widths 是各级一行多宽。
func widths() [LevelDay + 1]time.Duration { return [...]time.Duration{time.Minute, hour, day} }

// keptSince 以 Level 为下标；同一级的两张表取晚的。
func keptSince(floors map[Level]time.Time) (kept [LevelDay + 1]time.Time) {
	for l, tables := range [...][]Level{{LevelMinute}, {LevelHour, LevelHourBy}, {LevelDay, LevelDayBy}} {
		for _, t := range tables {
			if f := floors[t]; f.After(kept[l]) {
				kept[l] = f
			}
		}
	}
	return kept
}

// widen 把两端移到留着的一级的边界：细的已经删去的地方，宁可多算并说出来。
func widen(r *Reading, q Query, kept [LevelDay + 1]time.Time, end time.Time) (time.Time, time.Time) {
	from := r.From
	for l := LevelMinute; l < LevelDay; l++ {
		width := widths()[l+1]
		if wide := floor(from, width); wide != from && wide.Before(kept[l]) {
			r.Notes = append(r.Notes, fmt.Sprintf("from was widened from %s to %s: usage by the %s is kept since %s",
				stamp(from), stamp(wide), l.unit(), stamp(kept[l])))
			from = wide
		}
		if wide := ceil(end, width); wide != end && floor(end, width).Before(kept[l]) && !q.open {
			r.Notes = append(r.Notes, fmt.Sprintf("to was widened from %s to %s: usage by the %s is kept since %s",
				stamp(end), stamp(wide), l.unit(), stamp(kept[l])))
			end, r.To = wide, wide
		}
	}
	return from, end
}

// unit 是给人看的：这一级一条是多久。
func (l Level) unit() string { return strings.TrimSuffix(strings.TrimPrefix(l.Table(), "usage_"), "_by") }

// forgotten 说为什么答不出：桶的边落在已经删去的一级里。
func forgotten(q Query, l Level, since time.Time) error {
	path := "interval"
	if q.Interval == IntervalDay {
		path = "time_zone"
	}
	return refuse(path, "interval=%s in %s needs usage by the %s, which is kept since %s; take a later from, a longer interval or another time zone",
		q.Interval, q.TimeZone, l.unit(), stamp(since))
}

// bySpan 以 Level 为下标。
type bySpan [LevelDay + 1][]Span

func (b *bySpan) add(l Level, s Span) {
	if n := len(b[l]); n > 0 && b[l][n-1].To.Equal(s.From) {
		b[l][n-1].To = s.To
		return
	}
	b[l] = append(b[l], s)
}

func parts(spans bySpan) []Part {
	var out []Part
	for l, s := range spans {
		if len(s) > 0 {
			out = append(out, Part{Level: Level(l), Spans: s})
		}
	}
	return out
}

// split 把 whole 里的每个桶切成不粗于 coarsest 的整行，相邻的接起来。
func (r *Reading) split(whole Span, coarsest Level) bySpan {
	var out bySpan
	r.eachBucket(whole, func(s Span, _ int) { slice(s, coarsest, out.add) })
	return out
}

// eachBucket 依次给出 whole 与各桶的交，与那是第几个桶；不分桶时是整个 whole，0。
func (r *Reading) eachBucket(whole Span, f func(s Span, bucket int)) {
	if len(r.Buckets) == 0 {
		f(whole, 0)
		return
	}
	for i := r.bucketOf(whole.From); i <= len(r.Buckets); i++ {
		s := Span{latest(whole.From, r.Buckets[i-1].UTC()), whole.To}
		if i < len(r.Buckets) && r.Buckets[i].Before(whole.To) {
			s.To = r.Buckets[i].UTC()
		}
		if !s.From.Before(s.To) {
			return
		}
		f(s, i)
	}
}

// bucketOf 是 t 在第几个桶里，从 1 数起。
func (r *Reading) bucketOf(t time.Time) int {
	n, _ := slices.BinarySearchFunc(r.Buckets, t, func(b, t time.Time) int {
		if b.After(t) {
			return 1
		}
		return -1
	})
	return n
}

// shift 改用 UTC 的整天：时区的一天是同一个 UTC 的一天，减去一头、加上另一头，差的至多半天。
// 没有一个 UTC 的整天，或桶的边正好是 UTC 的零点，就不改。
func (r *Reading) shift(end time.Time) {
	inner := Span{ceil(r.From, day), floor(end, day)}
	if !inner.From.Before(inner.To) {
		return
	}
	var moves [LevelDay][]Move
	for d := inner.From; d.Before(inner.To); d = d.Add(day) {
		counted := r.bucketOf(d.Add(day / 2))
		r.eachBucket(Span{d, d.Add(day)}, func(s Span, bucket int) {
			if bucket != counted {
				slice(s, LevelHour, func(l Level, s Span) { moves[l] = append(moves[l], Move{s, bucket, counted}) })
			}
		})
	}
	for l, m := range moves {
		if len(m) > 0 {
			r.Moves = append(r.Moves, MovePart{Level(l), m})
		}
	}
	if len(r.Moves) == 0 {
		return
	}
	var sums bySpan
	for _, outer := range []Span{{r.From, inner.From}, {inner.To, end}} {
		for l, spans := range r.split(outer, LevelHour) {
			for _, s := range spans {
				sums.add(Level(l), s)
			}
		}
	}
	sums.add(LevelDay, inner)
	r.Sums = parts(sums)
}

// slice 取 s 中间的整行，两头交给细一级；空的不给。
func slice(s Span, l Level, add func(Level, Span)) {
	if !s.From.Before(s.To) {
		return
	}
	inner := Span{ceil(s.From, widths()[l]), floor(s.To, widths()[l])}
	switch {
	case l == LevelMinute:
		add(l, s)
	case !inner.From.Before(inner.To):
		slice(s, l-1, add)
	default:
		slice(Span{s.From, inner.From}, l-1, add)
		add(l, inner)
		slice(Span{inner.To, s.To}, l-1, add)
	}
}

// single 说分组与筛选只碰到至多一个有合计的维度（与来源）时是哪一个。
func single(q Query) (Dimension, bool) {
	used := slices.Clone(q.GroupBy)
	for _, f := range q.Filters() {
		used = append(used, f.By)
	}
	var by Dimension
	for _, d := range used {
		switch {
		case d == BySource || d == by:
		case d != ByServer && d != ByApp && d != ByModel, by != "":
			return "", false
		default:
			by = d
		}
	}
	return by, true
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func floor(t time.Time, width time.Duration) time.Time { return t.UTC().Truncate(width) }

func ceil(t time.Time, width time.Duration) time.Time { return floor(t.Add(width-1), width) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
