package explain

import (
	"fmt"
	"slices"

	"github.com/vega-gateway/vega/proto/schedule"
)

// blockedBy 说哪一个限额用尽了，都有余则为空。节点手上闲置的许可也能开始，所以在途看的是 used（在途加隔离着的），不是还能授予的。
func blockedBy(l schedule.Limits, used, requests, tokens int64) string {
	switch {
	case l.MaxConcurrency > 0 && used >= l.MaxConcurrency:
		return fmt.Sprintf("all %d requests in flight are taken", l.MaxConcurrency)
	case l.RequestsPerMinute > 0 && requests < 1:
		return fmt.Sprintf("the %d requests per minute are used up for the moment", l.RequestsPerMinute)
	case l.TokensPerMinute > 0 && tokens < 1:
		return fmt.Sprintf("the %d tokens per minute are used up for the moment", l.TokensPerMinute)
	}
	return ""
}

// crowded 说是不是每个值得等的 server 的队都到了上限，同 schedule.Core.Arrive。
func (f *fleet) crowded(servers []string) bool {
	for _, name := range servers {
		limit, q := f.Catalog.Servers[name].Queue.MaxWaiting, f.queues[name]
		if limit == 0 || q == nil || q.Waiting < limit {
			return false
		}
	}
	return len(servers) > 0
}

// caveats 是裁决所靠的东西缺了什么。
func (f *fleet) caveats() string {
	text := ""
	switch {
	case f.Queues == nil:
		text = "; limits, queues and pauses are not known: no replica leads admission at this moment"
	case f.Queues.Leader.Learning:
		text = "; the admission leader has just taken over and is still counting what the nodes hold"
	}
	if len(f.members) == 0 {
		text += "; no node is connected that could serve it"
	}
	return text
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
