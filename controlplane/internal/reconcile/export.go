package reconcile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	maxLines    = 200_000
	maxProblems = 100
	maxName     = 256
)

// Key 是一天里的一个模型。
type Key struct {
	Day   Day
	Model string
}

// Export 是供应商的账单：同一天同一模型的几行已经相加。
type Export struct {
	Rows map[Key]Theirs
	// Has 说哪几栏在表里；不在的不比。
	Has [metrics]bool
	// Currency 为空即表里没有写。
	Currency string
	// First 与 Last 是表里最早与最晚的一天。
	First, Last Day
}

// Options 说怎样读表；零值是 UTC、照表头认栏。
type Options struct {
	// Location 决定带时刻的写法算哪一天；nil 为 UTC。
	Location *time.Location
	// Columns 由 Fields 里的名字到表头，压过自己认出来的。
	Columns map[string]string
	// Models 由表里的模型名到我们的上游模型名（或公开名）。
	Models map[string]string
}

// ParseExport 读供应商导出的 CSV：UTF-8（可带 BOM），逗号、分号或制表符分隔，第一行是表头，行末 LF 或 CRLF。
// 不合规矩为 vegaerr.Invalid，Problems 的 Path 是 "line 12"，一次列全（至多一百处）。
func ParseExport(data []byte, o Options) (Export, error) {
	if o.Location == nil {
		o.Location = time.UTC
	}
	p := parser{options: o, export: Export{Rows: map[Key]Theirs{}}}
	p.read(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if len(p.problems) > 0 {
		return Export{}, vegaerr.New(vegaerr.Invalid, "", "the export cannot be read").WithProblems(p.problems)
	}
	return p.export, nil
}

type parser struct {
	options  Options
	export   Export
	columns  layout
	problems []vegaerr.Problem
	dropped  bool
}

func (p *parser) bad(line int, format string, args ...any) {
	if len(p.problems) == maxProblems {
		p.problems = append(p.problems, vegaerr.Problem{Path: fmt.Sprintf("line %d", line), Message: "there are more errors; only the first 100 are listed"})
		p.dropped = true
	}
	if !p.dropped {
		p.problems = append(p.problems, vegaerr.Problem{Path: fmt.Sprintf("line %d", line), Message: fmt.Sprintf(format, args...)})
	}
}

func (p *parser) read(data []byte) {
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		p.bad(1, "is not UTF-8 text; save the export as CSV in UTF-8")
		return
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = separator(data), -1, true
	header, err := r.Read()
	if err != nil {
		p.bad(1, "there is no header line")
		return
	}
	header = slices.Clone(header)
	var problems []string
	if p.columns, problems = findColumns(header, p.options.Columns); len(problems) > 0 {
		for _, m := range problems {
			p.bad(1, "%s", m)
		}
		return
	}
	for i, f := range metricFields() {
		_, p.export.Has[i] = p.columns[f]
	}
	p.lines(r, len(header))
}

func (p *parser) lines(r *csv.Reader, width int) {
	for n := 0; ; n++ {
		record, err := r.Read()
		var broken *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			if n == 0 {
				p.bad(1, "there is no line after the header")
			}
			return
		case errors.As(err, &broken):
			p.bad(broken.Line, "%v", broken.Err)
			return
		case n == maxLines:
			p.bad(n+1, "at most %d lines are allowed", maxLines)
			return
		}
		line, _ := r.FieldPos(0)
		if len(record) != width {
			p.bad(line, "has %d fields where the header has %d", len(record), width)
			continue
		}
		p.line(line, record)
	}
}

func (p *parser) line(line int, record []string) {
	cell := func(f field) string {
		if i, ok := p.columns[f]; ok {
			return strings.TrimSpace(record[i])
		}
		return ""
	}
	before := len(p.problems)
	day, err := parseDay(cell(fieldDay), p.options.Location)
	if err != nil {
		p.bad(line, "day: %v", err)
	}
	model := cell(fieldModel)
	if model == "" || len(model) > maxName || strings.ContainsFunc(model, unicode.IsControl) {
		p.bad(line, "model: must be a name of 1 to %d printable bytes", maxName)
	}
	if ours, ok := p.options.Models[model]; ok {
		model = ours
	}
	t := Theirs{Lines: 1}
	for i, f := range metricFields() {
		p.number(line, f, cell(f), &t, Metric(i))
	}
	p.currency(line, cell(fieldCurrency))
	if len(p.problems) == before && !p.dropped {
		p.add(line, Key{Day: day, Model: model}, t)
	}
}

// number 空着的是没有给，不是零。
func (p *parser) number(line int, f field, text string, t *Theirs, m Metric) {
	if text == "" {
		return
	}
	var n, slack int64
	var err error
	if m == Cost {
		n, slack, err = parseCost(text)
	} else {
		n, err = parseCount(text)
	}
	if err != nil {
		p.bad(line, "%s: %v", f, err)
		return
	}
	t.Values[m] = &n
	t.CostSlack += slack
}

func (p *parser) currency(line int, c string) {
	c = strings.ToUpper(c)
	switch {
	case c == "" || c == p.export.Currency:
	case p.export.Currency == "":
		p.export.Currency = c
	default:
		p.bad(line, "currency: %.10q where an earlier line has %q; split the export by currency", c, p.export.Currency)
	}
}

func (p *parser) add(line int, k Key, t Theirs) {
	sum := p.export.Rows[k].plus(t)
	if c := sum.Values[Cost]; c != nil && (*c > maxTotalCost || *c < -maxTotalCost) {
		p.bad(line, "cost: the sum of this day and model is too large")
		return
	}
	if len(p.export.Rows) == 0 || k.Day.Before(p.export.First) {
		p.export.First = k.Day
	}
	if len(p.export.Rows) == 0 || p.export.Last.Before(k.Day) {
		p.export.Last = k.Day
	}
	p.export.Rows[k] = sum
}

// maxTotalCost 约四十亿货币单位。
const maxTotalCost = 1 << 62

// separator 是表头里出现得最多的分隔符。
func separator(data []byte) rune {
	header, _, _ := bytes.Cut(data, []byte("\n"))
	best := ','
	for _, c := range ";\t" {
		if bytes.Count(header, []byte(string(c))) > bytes.Count(header, []byte(string(best))) {
			best = c
		}
	}
	return best
}
