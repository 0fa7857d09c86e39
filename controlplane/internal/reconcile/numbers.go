package reconcile

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// maxCount 使一百万行之和仍装得进 int64。
	maxCount = 1 << 43
	// maxCostNano 约九百万货币单位一行，总数另查，见 Export。
	maxCostNano = 1 << 53
)

var (
	countForm = regexp.MustCompile(`^\d+(\.0+)?$`)
	costForm  = regexp.MustCompile(`^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?$`)
)

// parseCount 读一个不为负的整数；千位分隔、小数与别的写法都不猜。
func parseCount(s string) (int64, error) {
	if !countForm.MatchString(s) {
		return 0, explainNumber(s, "a whole number such as 12345")
	}
	whole, _, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > maxCount {
		return 0, errors.New("is too large")
	}
	return n, nil
}

// parseCost 读一个十进制数，舍入到 10⁻⁹；slack 是写下的最后一位的一半，即供应商自己舍入最多差多少。
func parseCost(s string) (nano, slack int64, err error) {
	if !costForm.MatchString(s) {
		return 0, 0, explainNumber(s, "a decimal number such as 12.34")
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return 0, 0, errors.New("is not a number")
	}
	n := round(new(big.Rat).Mul(r, big.NewRat(1_000_000_000, 1)))
	if !n.IsInt64() || new(big.Int).Abs(n).Cmp(big.NewInt(maxCostNano)) > 0 {
		return 0, 0, errors.New("is too large")
	}
	return n.Int64(), halfLastDigit(s), nil
}

// halfLastDigit 向上取整到 1：比 10⁻⁹ 还细的，我们自己的舍入也差这么多。
func halfLastDigit(s string) int64 {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	_, fraction, _ := strings.Cut(mantissa, ".")
	shift, _ := strconv.Atoi(exponent) // 空即 0；形状已经查过
	power := 9 - len(fraction) + shift
	if power <= 0 {
		return 1
	}
	half := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(min(power, 12))), nil)
	return half.Div(half, big.NewInt(2)).Int64()
}

func round(r *big.Rat) *big.Int {
	twice := new(big.Int).Mul(r.Num(), big.NewInt(2))
	if r.Sign() >= 0 {
		twice.Add(twice, r.Denom())
	} else {
		twice.Sub(twice, r.Denom())
	}
	return twice.Quo(twice, new(big.Int).Mul(r.Denom(), big.NewInt(2)))
}

func explainNumber(s, want string) error {
	if strings.ContainsAny(s, ",'_ ") {
		return fmt.Errorf("%.40q must be written without separators, as %s", s, want)
	}
	return fmt.Errorf("%.40q is not %s", s, want)
}

// parseDay 读一天：只写了日期的就是它；带时刻的换到 loc 里去看是哪一天。月日谁先谁后的写法不猜。
func parseDay(s string, loc *time.Location) (Day, error) {
	for _, layout := range []string{time.DateOnly, "2006/01/02", "20060102"} {
		if t, err := time.Parse(layout, s); err == nil {
			return DayOf(t), nil
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return DayOf(t.In(loc)), nil
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, loc); err == nil {
			return DayOf(t), nil
		}
	}
	// 九到十一位是 Unix 秒（1973 至 5138 年），八位的已经当作日期试过。
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && len(s) >= 9 && len(s) <= 11 && n > 0 {
		return DayOf(time.Unix(n, 0).In(loc)), nil
	}
	return Day{}, fmt.Errorf("%.40q is not a day such as 2026-11-23, an RFC 3339 time or Unix seconds", s)
}
