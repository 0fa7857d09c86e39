package reconcile

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// usual 是一百次上游报了的调用：每次输入 1000、输出 200、缓存 100、费用 0.01。
func usual(n int64) Sum {
	return Sum{Requests: n, Attempts: n, Prompt: 1000 * n, Completion: 200 * n, Cached: 100 * n, CostNano: 10_000_000 * n}
}

func ours(parts map[string]Sum) Ours {
	var o Ours
	for source, s := range parts {
		o.add(source, s)
	}
	return o
}

// theirs 按 requests、prompt、completion、cached、cost 的次序。
func theirs(values ...int64) Theirs {
	t := Theirs{Lines: 1}
	for i := range values {
		t.Values[i] = &values[i]
	}
	return t
}

func all() [metrics]bool { return [metrics]bool{true, true, true, true, true} }

func TestCompare_Verdicts(t *testing.T) {
	hundred := theirs(100, 100_000, 20_000, 10_000, 1_000_000_000)
	for name, c := range map[string]struct {
		ours   map[string]Sum
		theirs *Theirs
		want   Verdict
	}{
		"equal":                             {map[string]Sum{"reported": usual(100)}, &hundred, Match},
		"failed calls are not on the bill":  {map[string]Sum{"reported": usual(100), "unknown": {Requests: 9, Attempts: 9, Failed: 9}}, &hundred, Match},
		"failed calls explain no tokens":    {map[string]Sum{"reported": usual(99), "unknown": {Attempts: 900, Failed: 900}}, &hundred, Unexplained},
		"one token too many":                {map[string]Sum{"reported": usual(100)}, new(theirs(100, 100_001, 20_000, 10_000, 1_000_000_000)), Unexplained},
		"one token too few":                 {map[string]Sum{"reported": usual(100)}, new(theirs(100, 99_999, 20_000, 10_000, 1_000_000_000)), Unexplained},
		"a call too many":                   {map[string]Sum{"reported": usual(100)}, new(theirs(101, 100_000, 20_000, 10_000, 1_000_000_000)), Unexplained},
		"money alone":                       {map[string]Sum{"reported": usual(100)}, new(theirs(100, 100_000, 20_000, 10_000, 1_000_000_001)), Unexplained},
		"counted within a tenth":            {map[string]Sum{"counted": usual(100)}, new(theirs(100, 109_999, 18_001, 10_000, 950_000_000)), Explained},
		"counted beyond a tenth":            {map[string]Sum{"counted": usual(100)}, new(theirs(100, 110_001, 20_000, 10_000, 1_000_000_000)), Unexplained},
		"partial answered to the end":       {map[string]Sum{"reported": usual(99), "partial": {Attempts: 1, Prompt: 1000, Completion: 5, Cached: 100, CostNano: 9_000_000}}, &hundred, Explained},
		"partial not billed":                {map[string]Sum{"reported": usual(100), "partial": {Attempts: 1, Prompt: 1000, Completion: 5}}, &hundred, Explained},
		"unknown was billed":                {map[string]Sum{"reported": usual(99), "unknown": {Attempts: 1}}, &hundred, Explained},
		"unknown was not billed":            {map[string]Sum{"reported": usual(100), "unknown": {Attempts: 3}}, &hundred, Explained},
		"unknown cannot be that large":      {map[string]Sum{"reported": usual(95), "unknown": {Attempts: 1}}, &hundred, Unexplained},
		"unknown with nothing to go by":     {map[string]Sum{"unknown": {Attempts: 100}}, &hundred, Unexplained},
		"only they have it":                 {nil, &hundred, MissingOurs},
		"only we have it":                   {map[string]Sum{"reported": usual(100)}, nil, MissingTheirs},
		"only we have it, and all failed":   {map[string]Sum{"unknown": {Requests: 5, Attempts: 5, Failed: 5}}, nil, Match},
		"only we have it, and none is sure": {map[string]Sum{"unknown": {Requests: 5, Attempts: 5}}, nil, Explained},
		"a line of zeros":                   {nil, new(theirs(0, 0, 0, 0, 0)), Match},
	} {
		k := Key{day(t, "2026-11-01"), "m"}
		e, o := Export{Rows: map[Key]Theirs{}, Has: all()}, map[Key]Ours{}
		if c.ours != nil {
			o[k] = ours(c.ours)
		}
		if c.theirs != nil {
			e.Rows[k] = *c.theirs
		}
		lines := Compare(o, e)
		if len(lines) != 1 || lines[0].Verdict != c.want {
			t.Errorf("%s: %+v", name, lines)
		}
	}
}

func TestCompare_WhatTheExportDoesNotSayIsNotCompared(t *testing.T) {
	k := Key{day(t, "2026-11-01"), "m"}
	o := map[Key]Ours{k: ours(map[string]Sum{"reported": usual(100)})}
	row := theirs(100, 100_000)
	lines := Compare(o, Export{Rows: map[Key]Theirs{k: row}, Has: [metrics]bool{Requests: true, Prompt: true, Cost: true}})
	l := lines[0]
	if l.Verdict != Match || l.Difference(Cost) != nil || l.Difference(Completion) != nil || *l.Difference(Prompt) != 0 {
		t.Fatalf("%+v", l)
	}
}

func TestCompare_CostMayDifferByTheRoundingOfTheBill(t *testing.T) {
	k := Key{day(t, "2026-11-01"), "m"}
	o := map[Key]Ours{k: ours(map[string]Sum{"reported": {Attempts: 1, CostNano: 1_234_567_890}})}
	for text, want := range map[string]Verdict{"1.23": Match, "1.24": Unexplained, "1.2346": Match, "1.234567891": Match, "1.2345": Unexplained} {
		e := mustParse(t, "day,model,cost\n2026-11-01,m,"+text+"\n", Options{})
		if got := Compare(o, e)[0].Verdict; got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestCompare_CallsAroundMidnightAreExcusedOnlyIfTheTwoDaysAgree(t *testing.T) {
	at := func(d string) Key { return Key{day(t, d), "m"} }
	bill := func(n int64) Theirs { return theirs(n, 1000*n, 200*n, 100*n, 10_000_000*n) }
	for name, c := range map[string]struct {
		theirs map[string]int64
		want   []Verdict
	}{
		"two calls moved":          {map[string]int64{"2026-11-01": 102, "2026-11-02": 98}, []Verdict{Explained, Explained}},
		"the days do not agree":    {map[string]int64{"2026-11-01": 102, "2026-11-02": 99}, []Verdict{Unexplained, Unexplained}},
		"too many to be midnight":  {map[string]int64{"2026-11-01": 140, "2026-11-02": 60}, []Verdict{Unexplained, Unexplained}},
		"the other day is correct": {map[string]int64{"2026-11-01": 102, "2026-11-02": 100}, []Verdict{Unexplained, Match}},
	} {
		o, e := map[Key]Ours{}, Export{Rows: map[Key]Theirs{}, Has: all()}
		for d, n := range c.theirs {
			o[at(d)], e.Rows[at(d)] = ours(map[string]Sum{"reported": usual(100)}), bill(n)
		}
		for i, l := range Compare(o, e) {
			if l.Verdict != c.want[i] || (l.Verdict == Explained) != (l.Note == midnightNote) {
				t.Errorf("%s, %s: %s %q", name, l.Day, l.Verdict, l.Note)
			}
		}
	}
	// 隔着一天不算相邻。
	o := map[Key]Ours{at("2026-11-01"): ours(map[string]Sum{"reported": usual(100)}), at("2026-11-03"): ours(map[string]Sum{"reported": usual(100)})}
	e := Export{Rows: map[Key]Theirs{at("2026-11-01"): bill(101), at("2026-11-03"): bill(99)}, Has: all()}
	for _, l := range Compare(o, e) {
		if l.Verdict != Unexplained {
			t.Errorf("%s: %s", l.Day, l.Verdict)
		}
	}
}

// TestCompare_WhateverTheBillCanBeIsNeverCalledUnexplained 由逐次的调用造出账单：每次照规矩算或不算，判断都不该是没有道理。
func TestCompare_WhateverTheBillCanBeIsNeverCalledUnexplained(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var o Ours
		var bill Sum
		o.add("reported", usual(10))
		bill = bill.plus(usual(10))
		for i := range rapid.IntRange(0, 30).Draw(rt, "calls") {
			one := usual(1)
			billed := rapid.Bool().Draw(rt, fmt.Sprint("billed", i))
			switch rapid.IntRange(0, 4).Draw(rt, fmt.Sprint("kind", i)) {
			case 0:
				o.add("reported", one)
				billed = true
			case 1: // 数得的比真的少半成
				o.add("counted", Sum{Attempts: 1, Prompt: 950, Completion: 190, Cached: 95, CostNano: 9_500_000})
				billed = true
			case 2:
				o.add("partial", Sum{Attempts: 1, Prompt: 1000, Completion: 50, Cached: 100, CostNano: 8_000_000})
			case 3:
				o.add("unknown", Sum{Attempts: 1})
			case 4: // 失败的至多算一次，不算 token
				o.add("unknown", Sum{Attempts: 1, Failed: 1})
				if billed {
					bill.Attempts++
				}
				continue
			}
			if billed {
				bill = bill.plus(one)
			}
		}
		k := Key{Day{2026, 11, 1}, "m"}
		lines := Compare(map[Key]Ours{k: o}, Export{Has: all(),
			Rows: map[Key]Theirs{k: theirs(bill.Attempts, bill.Prompt, bill.Completion, bill.Cached, bill.CostNano)}})
		if !lines[0].Verdict.Settled() {
			rt.Fatalf("%+v", lines[0])
		}
	})
}
