package usage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Settings 是整套安装的设置；DefaultSettings 是一项也没写时的样子。
type Settings struct {
	Retention Retention       `json:"retention"`
	Requests  RequestSettings `json:"requests"`
	// TimeZone 是 IANA 时区名：用量的查询没有另说时用它。
	TimeZone string `json:"time_zone"`
	// Currency 是 ISO 4217 的三个字母。一套安装一种货币：费用只是数，改它不换算。
	Currency string `json:"currency"`
}

// Retention 是各级保留的天数。
type Retention struct {
	MinutesDays  int `json:"minutes_days"`
	HoursDays    int `json:"hours_days"`
	DaysDays     int `json:"days_days"`
	RequestsDays int `json:"requests_days"`
}

// RequestSettings 说逐条的请求怎样存。
type RequestSettings struct {
	// Sample 是存下的比例，0 至 1；总数从不抽样。
	Sample float64 `json:"sample"`
}

// DefaultSettings 是缺省：一周的分钟与明细、四百天的小时、五年的天。
func DefaultSettings() Settings {
	return Settings{
		Retention: Retention{MinutesDays: 7, HoursDays: 400, DaysDays: 1830, RequestsDays: 7},
		Requests:  RequestSettings{Sample: 1}, TimeZone: "UTC", Currency: "USD",
	}
}

// ParseSettings 严格解析：不认识的字段是错误，没写的取 DefaultSettings。错误是 vegaerr.Invalid，Problems 一次列全。
func ParseSettings(document []byte) (Settings, error) {
	s := DefaultSettings()
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return Settings{}, vegaerr.Wrap(err, vegaerr.Invalid, "", "the settings cannot be read: %v", err)
	}
	// null 解得开而什么也不改，照收就是把设置全换成了缺省。
	if _, err := dec.Token(); !errors.Is(err, io.EOF) || !bytes.HasPrefix(bytes.TrimSpace(document), []byte("{")) {
		return Settings{}, vegaerr.New(vegaerr.Invalid, "", "the settings must be one JSON object")
	}
	if problems := s.problems(); len(problems) > 0 {
		return Settings{}, vegaerr.New(vegaerr.Invalid, "", "the settings are not valid").WithProblems(problems)
	}
	return s, nil
}

const (
	// maxDays 是一百年：再长的意思是不删。
	maxDays = 36_500
	// minHoursDays 比一个月长：按月的预算由小时与天算出花了多少，删早了就少算，该拦的放了过去。
	minHoursDays = 32
)

func (s Settings) problems() []vegaerr.Problem {
	var out []vegaerr.Problem
	bad := func(path, format string, args ...any) {
		out = append(out, vegaerr.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	for _, f := range []struct {
		path      string
		days, min int
	}{{"minutes_days", s.Retention.MinutesDays, 1}, {"hours_days", s.Retention.HoursDays, minHoursDays}, {"days_days", s.Retention.DaysDays, 1}, {"requests_days", s.Retention.RequestsDays, 1}} {
		if f.days < f.min || f.days > maxDays {
			bad("retention."+f.path, "must be between %d and %d days", f.min, maxDays)
		}
	}
	if s.Retention.MinutesDays > s.Retention.HoursDays {
		bad("retention.minutes_days", "must not be longer than hours_days")
	}
	if s.Retention.HoursDays > s.Retention.DaysDays {
		bad("retention.hours_days", "must not be longer than days_days")
	}
	if !(s.Requests.Sample >= 0 && s.Requests.Sample <= 1) {
		bad("requests.sample", "must be between 0 and 1")
	}
	if _, err := time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "" || s.TimeZone == "Local" {
		bad("time_zone", "is not an IANA time zone such as Asia/Shanghai")
	}
	if !regexp.MustCompile(`^[A-Z]{3}$`).MatchString(s.Currency) {
		bad("currency", "must be three capital letters such as USD")
	}
	return out
}

// Days 是那一级保留的天数。
func (r Retention) Days(l Level) int {
	switch l {
	case LevelMinute:
		return r.MinutesDays
	case LevelHour, LevelHourBy:
		return r.HoursDays
	case LevelRequest:
		return r.RequestsDays
	default:
		return r.DaysDays
	}
}

// Floor 是那一级在 now 时留着的最早时刻：整个分区都过期了才删，所以落在分区的起点。
func (r Retention) Floor(l Level, now time.Time) time.Time {
	return l.PartitionOf(now.Add(-time.Duration(r.Days(l)) * day)).From
}
