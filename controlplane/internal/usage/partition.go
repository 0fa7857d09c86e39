package usage

import (
	"strings"
	"time"
)

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

// AllLevels 列出每一级。
func AllLevels() []Level {
	return []Level{LevelMinute, LevelHour, LevelDay, LevelHourBy, LevelDayBy, LevelRequest}
}

// Partition 是一级的一个分区，含 From，不含 To；都是 UTC。
type Partition struct {
	Table, Name string
	From, To    time.Time
}

// PartitionOf 是 t 所在的分区：分钟与请求按天，其余按月。
func (l Level) PartitionOf(t time.Time) Partition {
	t = t.UTC()
	from := t.Truncate(day)
	to := from.Add(day)
	if !l.daily() {
		from = time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
		to = from.AddDate(0, 1, 0)
	}
	return Partition{Table: l.Table(), Name: l.Table() + "_" + from.Format(l.layout()), From: from, To: to}
}

// ParsePartition 由名字认出分区；不是 PartitionOf 起的名字 ok 为假。
func (l Level) ParsePartition(name string) (p Partition, ok bool) {
	suffix, found := strings.CutPrefix(name, l.Table()+"_")
	from, err := time.Parse(l.layout(), suffix)
	if !found || err != nil {
		return Partition{}, false
	}
	return l.PartitionOf(from), true
}

func (l Level) daily() bool { return l == LevelMinute || l == LevelRequest }

func (l Level) layout() string {
	if l.daily() {
		return "20060102"
	}
	return "200601"
}
