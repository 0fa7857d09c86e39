package reconcile

const (
	// midnightShare 是一天里至多这么多分之一会跨过零点；midnightCalls 让量小的日子也容得下几次。
	midnightShare = 100
	midnightCalls = 10

	midnightNote = "calls around midnight are on the other day there: the two days together agree"
)

// excuseMidnight 认出跨了零点的：我们按结束的时刻算哪一天，供应商多半按开始的。
// 同一个模型相邻的两天各差一点、合起来相符，两天都改判 explained。lines 按日、模型升序。
func excuseMidnight(lines []Line, typical map[string]Sum) {
	last := map[string]*Line{}
	for i := range lines {
		l := &lines[i]
		prev := last[l.Model]
		last[l.Model] = l
		if prev == nil || prev.Day.Next() != l.Day || prev.Verdict != Unexplained || l.Verdict != Unexplained || prev.Compared != l.Compared {
			continue
		}
		both := Line{Ours: prev.Ours.plus(l.Ours), Theirs: prev.Theirs.plus(l.Theirs), Compared: l.Compared}
		t := typical[l.Model]
		if small(*prev, t) && small(*l, t) && judge(both, t).Settled() {
			prev.Verdict, prev.Note = Explained, midnightNote
			l.Verdict, l.Note = Explained, midnightNote
		}
	}
}

// small 说差得不比跨零点的几次调用多。
func small(l Line, typical Sum) bool {
	for _, m := range Metrics() {
		d := l.Difference(m)
		if d == nil {
			continue
		}
		room := l.Ours.value(m) / midnightShare
		switch {
		case m == Requests:
			room = max(room, midnightCalls)
		case typical.Attempts > 0:
			room = max(room, ceil(typical.value(m), typical.Attempts)*midnightCalls)
		}
		if *d > room || *d < -room {
			return false
		}
	}
	return true
}
