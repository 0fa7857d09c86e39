package catalog

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

// Price 是每百万 token 的价格，单位 10⁻⁹ 货币单位；文档里写成十进制数，两者之间没有浮点误差。
type Price int64

const nanoDigits = 9

var (
	errPriceForm   = errors.New("must be a decimal number")
	errPriceDigits = errors.New("must have at most 9 decimal places")
	errPriceRange  = errors.New("is too large")
)

// ParsePrice 读一个十进制数（可带指数）。多于九位小数、或超出 int64 都是错误，从不取整。
func ParsePrice(literal string) (Price, error) {
	mantissa, exponent, found := strings.Cut(strings.ToLower(literal), "e")
	shift := 0
	if found {
		n, err := strconv.Atoi(exponent)
		if err != nil || n > 99 || n < -99 {
			return 0, errPriceForm
		}
		shift = n
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if len(whole)+len(fraction) > 100 {
		return 0, errPriceForm
	}
	digits, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok {
		return 0, errPriceForm
	}
	power := nanoDigits + shift - len(fraction)
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(power, -power))), nil)
	if power >= 0 {
		digits.Mul(digits, scale)
	} else {
		rest := new(big.Int)
		if digits.QuoRem(digits, scale, rest); rest.Sign() != 0 {
			return 0, errPriceDigits
		}
	}
	if !digits.IsInt64() {
		return 0, errPriceRange
	}
	return Price(digits.Int64()), nil
}

// String 写成最短的十进制数，例如 2.5。
func (p Price) String() string {
	sign, n := "", uint64(p)
	if p < 0 {
		sign, n = "-", -n
	}
	s := strconv.FormatUint(n, 10)
	if len(s) <= nanoDigits {
		s = strings.Repeat("0", nanoDigits-len(s)+1) + s
	}
	whole, fraction := s[:len(s)-nanoDigits], strings.TrimRight(s[len(s)-nanoDigits:], "0")
	if fraction == "" {
		return sign + whole
	}
	return sign + whole + "." + fraction
}

// MarshalJSON 写成 JSON 数。
func (p Price) MarshalJSON() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalJSON 读 JSON 数；存储读回规格时用。
func (p *Price) UnmarshalJSON(b []byte) error {
	v, err := ParsePrice(string(b))
	if err != nil {
		return err
	}
	*p = v
	return nil
}
