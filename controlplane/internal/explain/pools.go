package explain

import (
	"slices"

	"github.com/vega-gateway/vega/proto/schedule"
)

// blockedBy 说哪一个限额用尽了，都有余则为 nil。节点手上闲置的许可也能开始，所以在途看的是 used（在途加隔离着的），不是还能授予的。
func blockedBy(l schedule.Limits, used, requests, tokens int64) *Reason {
	switch {
	case l.MaxConcurrency > 0 && used >= l.MaxConcurrency:
		return &Reason{Code: Concurrency, Limit: l.MaxConcurrency}
	case l.RequestsPerMinute > 0 && requests < 1:
		return &Reason{Code: RequestsPerMinute, Limit: l.RequestsPerMinute}
	case l.TokensPerMinute > 0 && tokens < 1:
		return &Reason{Code: TokensPerMinute, Limit: l.TokensPerMinute}
	}
	return nil
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
func (f *fleet) caveats() (missing []Reason) {
	switch {
	case f.Queues == nil:
		missing = append(missing, Reason{Code: NoLeader})
	case f.Queues.Leader.Learning:
		missing = append(missing, Reason{Code: LeaderLearning})
	}
	if len(f.members) == 0 {
		missing = append(missing, Reason{Code: NoNodes})
	}
	return missing
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
