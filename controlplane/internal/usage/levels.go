package usage

import (
	"maps"
	"slices"
	"time"
)

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// Levels 在内存里把增量并成各级要加上的行；由 NewLevels 造。
type Levels struct {
	minutes, hours, days map[Key]*Sum
	hoursBy, daysBy      map[ByKey]*Sum
}

// NewLevels 造一份空的。
func NewLevels() *Levels {
	return &Levels{
		minutes: make(map[Key]*Sum), hours: make(map[Key]*Sum), days: make(map[Key]*Sum),
		hoursBy: make(map[ByKey]*Sum), daysBy: make(map[ByKey]*Sum),
	}
}

// Minute 是 k 那一分钟的一行，没有则新建；增量都加在这里，再由 Fold 算出其余各级。
func (l *Levels) Minute(k Key) *Sum { return at(l.minutes, k) }

// Fold 由分钟算出其余各级；只可在加完之后调用一次。
func (l *Levels) Fold() {
	fold(l.hours, l.minutes, hour)
	fold(l.days, l.hours, day)
	foldBy(l.hoursBy, l.hours)
	foldBy(l.daysBy, l.days)
}

func fold(to, from map[Key]*Sum, width time.Duration) {
	for k, s := range from {
		k.Bucket = k.Bucket.Truncate(width)
		at(to, k).Add(s)
	}
}

func foldBy(to map[ByKey]*Sum, from map[Key]*Sum) {
	for k, s := range from {
		for _, b := range [...]ByKey{{Dim: DimAll}, {Dim: DimServer, Name: k.Server}, {Dim: DimApp, Name: k.App}, {Dim: DimModel, Name: k.Model}} {
			b.Bucket, b.Source = k.Bucket, k.Source
			at(to, b).Add(s)
		}
	}
}

// Retire 去掉各级里早于 floors 的行，返回连天的合计都已清退的那些的总数。在 Fold 之后调用。
func (l *Levels) Retire(floors map[Level]time.Time) (late Totals) {
	for k, s := range l.daysBy {
		if k.Dim == DimAll && k.Bucket.Before(floors[LevelDayBy]) {
			late = late.Plus(s.Totals())
		}
	}
	for level, rows := range map[Level]map[Key]*Sum{LevelMinute: l.minutes, LevelHour: l.hours, LevelDay: l.days} {
		maps.DeleteFunc(rows, func(k Key, _ *Sum) bool { return k.Bucket.Before(floors[level]) })
	}
	for level, rows := range map[Level]map[ByKey]*Sum{LevelHourBy: l.hoursBy, LevelDayBy: l.daysBy} {
		maps.DeleteFunc(rows, func(k ByKey, _ *Sum) bool { return k.Bucket.Before(floors[level]) })
	}
	return late
}

// Minutes 按主键升序，下同。
func (l *Levels) Minutes() []Entry { return entries(l.minutes) }

// Hours 是 UTC 的小时。
func (l *Levels) Hours() []Entry { return entries(l.hours) }

// Days 是 UTC 的一天。
func (l *Levels) Days() []Entry { return entries(l.days) }

// HoursBy 是小时按单个维度的合计。
func (l *Levels) HoursBy() []ByEntry { return byEntries(l.hoursBy) }

// DaysBy 是天按单个维度的合计。
func (l *Levels) DaysBy() []ByEntry { return byEntries(l.daysBy) }

func at[K comparable](m map[K]*Sum, k K) *Sum {
	s := m[k]
	if s == nil {
		s = new(Sum)
		m[k] = s
	}
	return s
}

func entries(m map[Key]*Sum) []Entry {
	out := make([]Entry, 0, len(m))
	for _, k := range slices.SortedFunc(maps.Keys(m), Key.Compare) {
		out = append(out, Entry{k, m[k]})
	}
	return out
}

func byEntries(m map[ByKey]*Sum) []ByEntry {
	out := make([]ByEntry, 0, len(m))
	for _, k := range slices.SortedFunc(maps.Keys(m), ByKey.Compare) {
		out = append(out, ByEntry{k, m[k]})
	}
	return out
}
