package usage

import (
	"fmt"
	"slices"
	"time"
)

// Span 是 [From, To)，两端都是那一级的起点。
type Span struct{ From, To time.Time }

// Part 是从一级读的几段，升序、不相邻、不相交。
type Part struct {
	Level Level
	Spans []Span
}

// Reading 说一个查询读哪些行：各级互不相交的几段，加上还没有并入的增量。
type Reading struct {
	// From 与 To 是真正算进来的时间段，可能比所问的宽；没有终点的查询 To 仍是所问的。
	From, To time.Time
	// Deltas 是增量里要的分钟。
	Deltas Span
	Parts  []Part
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
	spans := r.split(end)
	for l, s := range spans {
		if len(s) == 0 {
			continue
		}
		r.Parts = append(r.Parts, Part{Level: Level(l), Spans: s})
		if !s[0].From.Before(kept[l]) {
			continue
		}
		if Level(l) < LevelDay {
			return Reading{}, forgotten(q, Level(l), kept[l])
		}
		r.Notes = append(r.Notes, fmt.Sprintf("nothing is kept from before %s", stamp(kept[LevelDay])))
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
			r.Notes = append(r.Notes, fmt.Sprintf("from was widened from %s to %s: %s is kept since %s",
				stamp(from), stamp(wide), l.Table(), stamp(kept[l])))
			from = wide
		}
		if wide := ceil(end, width); wide != end && floor(end, width).Before(kept[l]) && !q.open {
			r.Notes = append(r.Notes, fmt.Sprintf("to was widened from %s to %s: %s is kept since %s",
				stamp(end), stamp(wide), l.Table(), stamp(kept[l])))
			end, r.To = wide, wide
		}
	}
	return from, end
}

// forgotten 说为什么答不出：桶的边落在已经删去的一级里。
func forgotten(q Query, l Level, since time.Time) error {
	path := "interval"
	if q.Interval == IntervalDay {
		path = "time_zone"
	}
	return refuse(path, "interval=%s in %s needs %s, which is kept since %s; take a later from, a longer interval or another time zone",
		q.Interval, q.TimeZone, l.Table(), stamp(since))
}

// split 把每个桶切成天、小时、分钟，相邻的接起来；以 Level 为下标。
func (r *Reading) split(end time.Time) [LevelDay + 1][]Span {
	var out [LevelDay + 1][]Span
	add := func(l Level, s Span) {
		if !s.From.Before(s.To) {
			return
		}
		if n := len(out[l]); n > 0 && out[l][n-1].To.Equal(s.From) {
			out[l][n-1].To = s.To
			return
		}
		out[l] = append(out[l], s)
	}
	from := r.From
	for i := range max(len(r.Buckets), 1) {
		to := end
		if i+1 < len(r.Buckets) {
			to = r.Buckets[i+1].UTC()
		}
		slice(Span{from, to}, LevelDay, add)
		from = to
	}
	return out
}

// slice 取 s 中间的整行，两头交给细一级。
func slice(s Span, l Level, add func(Level, Span)) {
	if l == LevelMinute {
		add(l, s)
		return
	}
	inner := Span{ceil(s.From, widths()[l]), floor(s.To, widths()[l])}
	if !inner.From.Before(inner.To) {
		slice(s, l-1, add)
		return
	}
	slice(Span{s.From, inner.From}, l-1, add)
	add(l, inner)
	slice(Span{inner.To, s.To}, l-1, add)
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
