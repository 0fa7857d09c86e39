package ruleset

import (
	"time"
	_ "time/tzdata" // 最小的镜像里没有时区表，而两边必须认得同样的时区

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// TimeZone 认出 IANA 时区名；"" 与 "Local" 不是：它们因机器而异。
func TimeZone(name string) (*time.Location, bool) {
	if name == "" || name == "Local" {
		return nil, false
	}
	loc, err := time.LoadLocation(name)
	return loc, err == nil
}

// PeriodAt 是 at 所在的那一期 [start, end)：loc 里的一天，或一个月。p 不认得时当作一个月。
func PeriodAt(p configv1.BudgetPeriod, loc *time.Location, at time.Time) (start, end time.Time) {
	y, m, d := at.In(loc).Date()
	if p == configv1.BudgetPeriod_BUDGET_PERIOD_DAY {
		return dayStart(y, m, d, loc), dayStart(y, m, d+1, loc)
	}
	return dayStart(y, m, 1, loc), dayStart(y, m+1, 1, loc)
}

// dayStart 是 loc 里日期不早于 y-m-d 的第一分钟。
//
// 不是零点的那一刻：有的时区在零点拨钟，零点于是没有（从一点开始）或有两次（从头一次开始），
// 还有把整整一天跳过去的；time.Date 在这些地方给哪一个是不定的。
func dayStart(y int, m time.Month, d int, loc *time.Location) time.Time {
	want := time.Date(y, m, d, 0, 0, 0, 0, time.UTC) // 只当日期用，溢出的月与日在此进位
	const zoneReach = 26 * 60                        // 时区至多偏离 UTC 这么多分钟
	lo, hi := -zoneReach, zoneReach                  // 第 lo 分钟还早，第 hi 分钟已到
	for hi-lo > 1 {
		mid := lo + (hi-lo)/2
		t := want.Add(time.Duration(mid) * time.Minute).In(loc)
		if at := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC); at.Before(want) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return want.Add(time.Duration(hi) * time.Minute)
}
