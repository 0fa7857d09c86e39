package segments

import (
	"fmt"
	"strconv"
	"strings"
)

// 文件的名字都是 20 位十进制加后缀：
//   - <头一帧的序号>.seg：在用的段；
//   - <头一帧的序号>.bad：从某处起读不出的段，前面读得出的仍然读；
//   - <段号>.ahead：预备好的空段，或者刚用上、还没有落过盘的段。
const (
	extSegment = ".seg"
	extBad     = ".bad"
	extAhead   = ".ahead"
	nameDigits = 20
	maxIndex   = 1 << 62 // 序号与段号都用不到这么大；再大的不是我们写的
)

func segmentName(first uint64) string { return fmt.Sprintf("%020d", first) + extSegment }
func badName(first uint64) string     { return fmt.Sprintf("%020d", first) + extBad }
func aheadName(number uint64) string  { return fmt.Sprintf("%020d", number) + extAhead }

// parseName 认一个名字；不是我们的 ok 为假。
func parseName(name string) (n uint64, ext string, ok bool) {
	digits, ext := name[:min(len(name), nameDigits)], name[min(len(name), nameDigits):]
	if len(digits) != nameDigits || strings.Trim(digits, "0123456789") != "" || ext != extSegment && ext != extBad && ext != extAhead {
		return 0, "", false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, ext, err == nil && n > 0 && n <= maxIndex
}
