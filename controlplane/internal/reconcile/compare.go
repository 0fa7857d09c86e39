package reconcile

import (
	"cmp"
	"maps"
	"slices"
)

// Verdict 是一行的判断，越往后越要人看。
type Verdict string

const (
	// Match：相等；失败的调用供应商可以不算，费用差在它自己的舍入之内。
	Match Verdict = "match"
	// Explained：差在自己数的、断在半路的与不知道的那几次能差的之内，或是跨了零点。
	Explained Verdict = "explained"
	// Unexplained：差得没有道理。
	Unexplained Verdict = "unexplained"
	// MissingOurs：供应商有而我们没有。
	MissingOurs Verdict = "missing_ours"
	// MissingTheirs：我们有而供应商没有，也没有道理。
	MissingTheirs Verdict = "missing_theirs"
)

// Settled 说不必再看。
func (v Verdict) Settled() bool { return v == Match || v == Explained }

// Line 是一天一个模型的对照。
type Line struct {
	Key
	Ours   Ours
	Theirs Theirs
	// Compared 说哪几栏比了。
	Compared [metrics]bool
	Verdict  Verdict
	// Note 说为什么，英文；可空。
	Note string
}

// Difference 是供应商的减去我们的；没有比的为 nil。
func (l Line) Difference(m Metric) *int64 {
	if !l.Compared[m] {
		return nil
	}
	d := l.theirs(m) - l.Ours.value(m)
	return &d
}

func (l Line) theirs(m Metric) int64 {
	if v := l.Theirs.Values[m]; v != nil {
		return *v
	}
	return 0
}

// Compare 逐日逐模型比，按日、模型升序。纯函数。
func Compare(ours map[Key]Ours, e Export) []Line {
	keys := map[Key]bool{}
	typical := map[string]Sum{}
	for k, o := range ours {
		keys[k] = true
		typical[k.Model] = typical[k.Model].plus(o.Reported)
	}
	for k := range e.Rows {
		keys[k] = true
	}
	lines := make([]Line, 0, len(keys))
	for _, k := range slices.SortedFunc(maps.Keys(keys), compareKey) {
		o, weHave := ours[k]
		t, theyHave := e.Rows[k]
		l := Line{Key: k, Ours: o, Theirs: t}
		for m := range e.Has {
			// 供应商这一行空着的栏不比；它整行没有，就是零。
			l.Compared[m] = e.Has[m] && (!theyHave || t.Values[m] != nil)
		}
		l.Verdict = judge(l, typical[k.Model])
		switch {
		case l.Verdict == Unexplained && !weHave:
			l.Verdict, l.Note = MissingOurs, "we have no usage of this model on this day; if it goes by another name here, map it"
		case l.Verdict == Unexplained && !theyHave:
			l.Verdict, l.Note = MissingTheirs, "the export has no line for this model on this day; if it goes by another name there, map it"
		}
		lines = append(lines, l)
	}
	excuseMidnight(lines, typical)
	return lines
}

func compareKey(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Day.String(), b.Day.String()), cmp.Compare(a.Model, b.Model))
}

// judge 取各栏里最要看的一个。
func judge(l Line, typical Sum) Verdict {
	verdict := Match
	for _, m := range Metrics() {
		if !l.Compared[m] {
			continue
		}
		b := boundsOf(l.Ours, m, typical)
		switch n := l.theirs(m); {
		case n >= b.exactLow-l.slack(m) && n <= b.exactHigh+l.slack(m):
		case n >= b.low-l.slack(m) && n <= b.high+l.slack(m):
			verdict = Explained
		default:
			return Unexplained
		}
	}
	return verdict
}

func (l Line) slack(m Metric) int64 {
	if m == Cost {
		return l.Theirs.CostSlack
	}
	return 0
}

// bounds 是供应商的数可以落在哪里：exact 之内算相等，low 至 high 之内算有道理。
type bounds struct{ exactLow, exactHigh, low, high int64 }

const (
	// countedError 是自己数的 token 最多差的比例的倒数：10%。
	countedError = 10
	// perCall 是一次不知道的调用最多算作几次平常的调用。
	perCall = 4
)

// boundsOf 算余地。上游报的没有余地；自己数的上下各一成；断在半路的，供应商可以不算（减去我们记的），
// 也可以算到答完（加上四次平常的调用）；不知道的可以没有，也可以是四次平常的调用。
// 平常是这一天上游报了的平均，这一天没有就用这个模型在整份表里的；都没有就没有余地。失败的调用不算理由。
func boundsOf(o Ours, m Metric, typical Sum) bounds {
	unsure := o.Partial.Attempts + max(o.Unknown.Attempts-o.Unknown.Failed, 0)
	v := o.value(m)
	if m == Requests {
		return bounds{exactLow: v - o.Failed, exactHigh: v, low: max(v-o.Failed-unsure, 0), high: v}
	}
	base := o.Reported
	if base.Attempts == 0 {
		base = typical
	}
	room := int64(0)
	if base.Attempts > 0 {
		room = ceil(base.value(m), base.Attempts) * perCall * unsure
	}
	counted := ceil(o.Counted.value(m), countedError)
	return bounds{exactLow: v, exactHigh: v, low: v - counted - o.Partial.value(m) - o.Unknown.value(m), high: v + counted + room}
}

// ceil 是 n/d 向上取整；n 不为负。
func ceil(n, d int64) int64 { return n/d + min(n%d, 1) }
