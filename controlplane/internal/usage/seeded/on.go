//go:build seeded

package seeded

import (
	"os"
	"sync"
)

var chosen = sync.OnceValue(func() Bug { return Bug(os.Getenv("VEGA_SEEDED_BUG")) })

// Broken 说 b 是不是这一轮选中的错误。
func Broken(b Bug) bool { return chosen() == b }
