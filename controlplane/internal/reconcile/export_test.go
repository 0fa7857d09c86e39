package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

func mustParse(t *testing.T, text string, o Options) Export {
	t.Helper()
	e, err := ParseExport([]byte(text), o)
	if err != nil {
		t.Fatalf("%v: %+v", err, vegaerr.As(err).Problems)
	}
	return e
}

func day(t *testing.T, s string) Day {
	t.Helper()
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t.Fatal(err)
	}
	return DayOf(d)
}

func TestParseExport_ReadsTheWaysProvidersWriteThem(t *testing.T) {
	for name, text := range map[string]string{
		"plain":     "date,model,requests,prompt_tokens,completion_tokens,cached_tokens,cost\n2026-11-01,m,2,100,20,5,1.25\n",
		"old usage": "timestamp,model,n_requests,n_context_tokens_total,n_generated_tokens_total,n_cached_context_tokens_total,amount\r\n1793491200,m,2,100,20,5,1.25\r\n",
		"new usage": "start_time,end_time,start_time_iso,model,num_model_requests,input_tokens,output_tokens,input_cached_tokens,amount_value,amount_currency\n" +
			"1793491200,1793577600,2026-11-01T00:00:00+00:00,m,2,100,20,5,1.25,usd\n",
		"BOM, quotes, spaces": "\xef\xbb\xbf\"Day\" , Model Name,\"Num-Requests\",Input Tokens,Output Tokens,Cached Tokens,Total Cost,Comment\r\n \"x\" ,,,,,,,\r\n",
		"semicolons":          "day;model;requests;input_tokens;output_tokens;cached_tokens;cost\n2026/11/01;m;2;100.0;20;5;1.25\n",
		"tabs":                "day\tmodel\trequests\tinput_tokens\toutput_tokens\tcached_tokens\tcost\n20261101\tm\t2\t100\t20\t5\t125e-2",
		"split over lines":    "day,model,requests,input_tokens,output_tokens,cached_tokens,cost,user\n2026-11-01,m,1,60,20,5,1,a\n2026-11-01,m,1,40,0,0,.25,b\n",
	} {
		if name == "BOM, quotes, spaces" {
			text = "\xef\xbb\xbf\"Day\",Model Name,\"Num-Requests\",Input Tokens,Output Tokens,Cached-Tokens,Total Cost,Comment\r\n2026-11-01, m ,\"2\",100,20,5,\" 1.25\",\"a \"\"b\"\", c\r\nd\"\r\n"
		}
		e := mustParse(t, text, Options{})
		got := e.Rows[Key{day(t, "2026-11-01"), "m"}]
		for m, want := range []int64{2, 100, 20, 5, 1_250_000_000} {
			if got.Values[m] == nil || *got.Values[m] != want {
				t.Errorf("%s: %s is %v, want %d", name, Metric(m), got.Values[m], want)
			}
		}
		if len(e.Rows) != 1 || e.Has != [metrics]bool{true, true, true, true, true} || e.First != day(t, "2026-11-01") || e.Last != e.First {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestParseExport_AbsentIsNotZero(t *testing.T) {
	e := mustParse(t, "day,model,input_tokens,output_tokens\n2026-11-01,m,,0\n2026-11-02,m,7,\n", Options{})
	first, second := e.Rows[Key{day(t, "2026-11-01"), "m"}], e.Rows[Key{day(t, "2026-11-02"), "m"}]
	if first.Values[Prompt] != nil || *first.Values[Completion] != 0 || *second.Values[Prompt] != 7 || second.Values[Completion] != nil {
		t.Fatalf("%+v %+v", first, second)
	}
	if e.Has[Cost] || e.Has[Requests] || !e.Has[Prompt] {
		t.Fatalf("has %v", e.Has)
	}
}

func TestParseExport_DaysAreThoseOfTheTimeZone(t *testing.T) {
	la, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"2026-11-02":                "2026-11-02", // 只有日期的就是那一天
		"2026-11-02T07:59:59Z":      "2026-11-01",
		"2026-11-02T08:00:00Z":      "2026-11-02",
		"2026-11-02 03:00:00":       "2026-11-02",
		"2026-11-02T01:00:00+08:00": "2026-11-01",
		"1793606399":                "2026-11-01",
		"1793606400":                "2026-11-02",
		"2026-11-01T06:59:59Z":      "2026-10-31", // 夏令时结束的前夜，还差 7 小时
	} {
		e := mustParse(t, "day,model,requests\n"+text+",m,1\n", Options{Location: la})
		if e.First.String() != want {
			t.Errorf("%s is %s, want %s", text, e.First, want)
		}
	}
}

func TestParseExport_ListsEveryErrorByLine(t *testing.T) {
	_, err := ParseExport([]byte("day,model,input_tokens,cost,currency\n"+
		"11/02/2026,m,1,1,USD\n"+
		"2026-11-02,,\"1,234\",1 000,USD\n"+
		"2026-11-02,m,-5,$3,USD\n"+
		"2026-11-02,m,1.5,1,2,EUR\n"+
		"2026-11-02,\"multi\nline\",1e3,0x10,USD\n"+
		"2026-11-02,m,99999999999999999999,99999999999999999999,EUR\n"), Options{})
	e := vegaerr.As(err)
	var got []string
	for _, p := range e.Problems {
		got = append(got, p.Path+" "+p.Message)
	}
	want := []string{
		`line 2 day: "11/02/2026" is not a day`,
		"line 3 model: must be a name", `line 3 prompt_tokens: "1,234" must be written without separators`, `line 3 cost: "1 000" must be written without separators`,
		`line 4 prompt_tokens: "-5" is not a whole number`, `line 4 cost: "$3" is not a decimal number`,
		"line 5 has 6 fields where the header has 5",
		"line 6 model: must be a name", `line 6 prompt_tokens: "1e3" is not`, `line 6 cost: "0x10" is not`,
		"line 8 prompt_tokens: is too large", "line 8 cost: is too large", `line 8 currency: "EUR" where an earlier line has "USD"`,
	}
	if e.Code != vegaerr.Invalid || len(got) != len(want) {
		t.Fatalf("%v:\n%s", err, strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}

func TestParseExport_RefusesWhatIsNoExport(t *testing.T) {
	many := "day,model,requests\n" + strings.Repeat("x,m,1\n", 300)
	for name, c := range map[string]struct{ text, says string }{
		"empty":          {"", "no header"},
		"only a header":  {"day,model,requests\n", "no line after the header"},
		"no day":         {"model,requests\nm,1\n", "no column for day"},
		"no model":       {"day,requests\n2026-11-01,1\n", "no column for model"},
		"no figures":     {"day,model\n2026-11-01,m\n", "no column to compare"},
		"UTF-16":         {"\xff\xfed\x00a\x00", "UTF-8"},
		"broken quote":   {"day,model,requests\n2026-11-01,\"m,1\n", "quote"},
		"endless errors": {many, "only the first 100"},
	} {
		_, err := ParseExport([]byte(c.text), Options{})
		e := vegaerr.As(err)
		if e.Code != vegaerr.Invalid || len(e.Problems) == 0 || len(e.Problems) > maxProblems+1 || !strings.Contains(e.Problems[len(e.Problems)-1].Message, c.says) {
			t.Errorf("%s: %v %+v", name, err, e.Problems)
		}
	}
}

func TestParseExport_ColumnsAndModelsCanBeNamed(t *testing.T) {
	e := mustParse(t, "When,What,Spent (USD),cost\n2026-11-01,gpt-4o-2024-08-06,2,9\n2026-11-01,other,1,9\n",
		Options{Columns: map[string]string{"day": "When", "model": "What", "cost": "Spent (USD)"}, Models: map[string]string{"gpt-4o-2024-08-06": "gpt-4o"}})
	if c := e.Rows[Key{day(t, "2026-11-01"), "gpt-4o"}].Values[Cost]; c == nil || *c != 2_000_000_000 {
		t.Fatalf("%+v", e.Rows)
	}
	if _, err := ParseExport([]byte("day,model,cost\n"), Options{Columns: map[string]string{"cost": "Gone"}}); !strings.Contains(vegaerr.As(err).Problems[0].Message, `no column "Gone"`) {
		t.Fatal(err)
	}
}

func TestParseCost_RoundsToNanoAndKnowsItsOwnRounding(t *testing.T) {
	for text, want := range map[string][2]int64{
		"12.34": {12_340_000_000, 5_000_000}, "7": {7_000_000_000, 500_000_000}, "0.0000123456789": {12_346, 1}, "-0.0000000005": {-1, 1},
		"1.5e-3": {1_500_000, 50_000}, "-2.5": {-2_500_000_000, 50_000_000}, "+.5": {500_000_000, 50_000_000}, "1e2": {100_000_000_000, 50_000_000_000},
	} {
		nano, slack, err := parseCost(text)
		if err != nil || nano != want[0] || slack != want[1] {
			t.Errorf("%s: %d %d %v", text, nano, slack, err)
		}
	}
}

func FuzzParseExport_NeverPanicsAndNeverOverflows(f *testing.F) {
	f.Add("day,model,requests,cost\n2026-11-01,m,1,1.5\n")
	f.Add("\xef\xbb\xbfdate;model;amount\r\n1793491200;\"m\";-1e9\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseExport([]byte(text), Options{})
		if err != nil {
			if len(vegaerr.As(err).Problems) == 0 {
				t.Fatal("refused without saying why")
			}
			return
		}
		for _, row := range e.Rows {
			for m, v := range row.Values {
				if v != nil && Metric(m) != Cost && *v < 0 {
					t.Fatalf("negative %s: %d", Metric(m), *v)
				}
			}
		}
	})
}
