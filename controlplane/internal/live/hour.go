package live

import (
	"math"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

const (
	seriesMinutes = 60
	// recentMinutes 是首字节的百分位看多久。
	recentMinutes = 5
	// TopNames 是最忙的各列几个。
	TopNames = 5
)

// Minute 是一分钟的和。
type Minute struct {
	At                                time.Time
	Requests, Errors, Refused, Tokens int64
	// Observed 是有首字节的请求数。
	Observed int64
}

// Hour 是最近 60 分钟，连还没有并入的增量。
type Hour struct {
	// At 是读的那一刻，Since 是头一分钟的起点；都是数据库的钟。
	At, Since time.Time
	// Minutes 只有有数的，升序。
	Minutes               []Minute
	Apps, Servers, Models []Busy
	// FirstByte 只有问了的分钟，键是起点的 Unix 秒。
	FirstByte map[int64]*usage.Histogram
	// Ever 说有没有过一个请求。
	Ever bool
}

// distributions 记着已经读过的分钟：过去的分钟多半不再变，只重读个数变了的。不可并发；零值可用。
type distributions struct {
	observed map[int64]int64
	merged   map[int64]*usage.Histogram
}

// adopt 收下 h 里新读的，忘掉一小时之前的。
func (d *distributions) adopt(h Hour) {
	observed, merged := make(map[int64]int64, len(h.Minutes)), make(map[int64]*usage.Histogram, len(h.Minutes))
	for _, m := range h.Minutes {
		k := m.At.Unix()
		if fresh := h.FirstByte[k]; fresh != nil {
			observed[k], merged[k] = m.Observed, fresh
		} else if old := d.merged[k]; old != nil {
			observed[k], merged[k] = d.observed[k], old
		}
	}
	d.observed, d.merged = observed, merged
}

// series 补齐没有请求的分钟。
func (d *distributions) series(h Hour) []Point {
	out := make([]Point, seriesMinutes)
	for i := range out {
		out[i].At = h.Since.Add(time.Duration(i) * time.Minute)
	}
	for _, m := range h.Minutes {
		i := int(m.At.Sub(h.Since) / time.Minute)
		if i < 0 || i >= len(out) {
			continue
		}
		p := &out[i]
		p.Requests, p.Errors, p.Refused, p.Tokens = m.Requests, m.Errors, m.Refused, m.Tokens
		if hist := d.merged[m.At.Unix()]; hist != nil {
			p.FirstByteP95 = quantile(hist, 0.95)
		}
	}
	return out
}

// recent 合并最近几分钟。
func (d *distributions) recent(h Hour) Percentiles {
	from := h.At.Truncate(time.Minute).Add(-(recentMinutes - 1) * time.Minute).Unix()
	var all usage.Histogram
	for at, hist := range d.merged {
		if at >= from {
			all.Merge(hist)
		}
	}
	return Percentiles{quantile(&all, 0.5), quantile(&all, 0.95), quantile(&all, 0.99)}
}

// quantile 的单位是毫秒，细到一微秒；空的为 nil。
func quantile(h *usage.Histogram, q float64) *float64 {
	if h.Count() == 0 {
		return nil
	}
	ms := math.Round(h.Quantile(q)) / 1000
	return &ms
}
