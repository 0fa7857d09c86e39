package usage

import "time"

// Level 是用量的一级。
type Level uint8

const (
	LevelMinute Level = iota
	LevelHour
	LevelDay
	LevelHourBy
	LevelDayBy
	// LevelRequest 是逐条的请求。
	LevelRequest
)

// Table 是这一级的表名。
func (l Level) Table() string {
	return [...]string{"usage_minute", "usage_hour", "usage_day", "usage_hour_by", "usage_day_by", "usage_request"}[l]
}

// Partition 是一级的一个分区，含 From，不含 To；都是 UTC。
type Partition struct {
	Table, Name string
	From, To    time.Time
}

// PartitionOf 是 t 所在的分区：分钟与请求按天，其余按月。
func (l Level) PartitionOf(t time.Time) Partition {
	t = t.UTC()
	from := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	to, layout := from.AddDate(0, 1, 0), "200601"
	if l == LevelMinute || l == LevelRequest {
		from = t.Truncate(day)
		to, layout = from.Add(day), "20060102"
	}
	return Partition{Table: l.Table(), Name: l.Table() + "_" + from.Format(layout), From: from, To: to}
}
