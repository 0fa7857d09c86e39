package usage

import "time"

// buckets 给出覆盖 [from, to) 的各个时间桶的起点，严格升序，首个不晚于 from。interval 为 none 时为 nil。
// 一天从当地日期第一次变成那一天的那一刻起：半夜拨快而没有零点的日子从拨快之后起，被跳过的日子没有桶。
func buckets(from, to time.Time, interval Interval, loc *time.Location) []time.Time {
	var next func(time.Time) time.Time
	var first time.Time
	switch interval {
	case IntervalMinute:
		first, next = from.Truncate(time.Minute), func(t time.Time) time.Time { return t.Add(time.Minute) }
	case IntervalHour:
		first, next = startOfHour(from.In(loc)), nextHour
	case IntervalDay:
		first, next = startOfDay(from.In(loc)), nextDay
	default:
		return nil
	}
	var out []time.Time
	for t := first; t.Before(to); t = next(t) {
		out = append(out, t)
	}
	return out
}

// startOfHour 是 t 所在的当地一小时的起点；钟在这一小时里拨动了不是整小时的，从拨动的那一刻起。
func startOfHour(t time.Time) time.Time {
	start := t.Add(-sinceHour(t))
	if changed, _ := t.ZoneBounds(); !changed.IsZero() && start.Before(changed) && sinceHour(start) != 0 {
		return changed
	}
	return start
}

func nextHour(t time.Time) time.Time { return t.Add(time.Hour - sinceHour(t)) }

func sinceHour(t time.Time) time.Duration {
	return time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
}

// startOfDay 是 t 的当地日期的起点。
func startOfDay(t time.Time) time.Time {
	y, m, d := t.Date()
	return midnight(y, m, d, t.Location())
}

// nextDay 跳过当地日历里不存在的日子。
func nextDay(t time.Time) time.Time {
	y, m, d := t.Date()
	for i := 1; ; i++ {
		if next := midnight(y, m, d+i, t.Location()); next.After(t) {
			return next
		}
	}
}

// midnight 是当地日期到达 y-m-d 的第一刻。time.Date 在钟拨动处只保证给出两种读法之一。
func midnight(y int, m time.Month, d int, loc *time.Location) time.Time {
	want := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	t := time.Date(y, m, d, 0, 0, 0, 0, loc)
	start, end := t.ZoneBounds()
	switch wall := asUTC(t); {
	case wall.Before(want): // 零点不存在，给出的是拨快之前
		return end
	case wall.After(want): // 零点不存在，给出的是拨快之后
		return start
	}
	if start.IsZero() {
		return t
	}
	// 零点出现两次时取前一次。
	_, before := start.Add(-time.Second).Zone()
	_, after := t.Zone()
	if earlier := t.Add(time.Duration(after-before) * time.Second); before > after && earlier.Before(start) {
		return earlier
	}
	return t
}

// asUTC 把当地的读数当成 UTC，好比较。
func asUTC(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}
