package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// maxDays 是一次对照的天数上限。
const maxDays = 400

// Ledger 是我们的用量，由 usage.Reader 实现。
type Ledger interface {
	Query(ctx context.Context, q usage.Query) (usage.Result, error)
}

// Configuration 给出现在的配置。
type Configuration interface {
	Load(ctx context.Context) (*catalog.Catalog, error)
}

// Query 问怎样对照。
type Query struct {
	// Servers 是账单所属的 server；空为全部。
	Servers []string
	// TimeZone 是 IANA 时区名，账单按它分日；空为 UTC。
	TimeZone string
	// From 与 To 是首日与末日（含），形如 2026-11-01；空为表里最早与最晚的一天。
	From, To string
	// Columns 与 Models 见 Options。
	Columns, Models map[string]string
}

// Report 是一次对照。
type Report struct {
	Servers  []string
	TimeZone string
	From, To Day
	Currency string
	Lines    []Line
	// Totals 是各行之和；Verdict 是各行里最要看的：Match、Explained 或 Unexplained。
	Totals  Line
	Verdict Verdict
	// Notes 是读的人该知道的，英文，一条一句。
	Notes []string
}

// Reconciler 做对照。
type Reconciler struct {
	ledger Ledger
	config Configuration
}

// New 造 Reconciler。
func New(ledger Ledger, config Configuration) *Reconciler {
	return &Reconciler{ledger: ledger, config: config}
}

// Reconcile 读 export 并对照。不合规矩为 vegaerr.Invalid：参数按名字、表按行号列出。
func (r *Reconciler) Reconcile(ctx context.Context, q Query, export []byte) (Report, error) {
	loc, err := q.location()
	if err != nil {
		return Report{}, err
	}
	e, err := ParseExport(export, Options{Location: loc, Columns: q.Columns, Models: q.Models})
	if err != nil {
		return Report{}, err
	}
	from, to, err := q.days(e)
	if err != nil {
		return Report{}, err
	}
	c, err := r.config.Load(ctx)
	if err != nil {
		return Report{}, err
	}
	found, err := r.ledger.Query(ctx, usage.Query{
		From: from.Start(loc), To: to.Next().Start(loc), Interval: usage.IntervalDay, TimeZone: loc.String(), Servers: q.Servers,
		GroupBy: []usage.Dimension{usage.ByServer, usage.ByServedModel, usage.BySource},
	})
	if err != nil {
		return Report{}, err
	}
	if err := knownServers(c, found.Rows, q.Servers); err != nil {
		return Report{}, err
	}
	inside := e.within(from, to)
	// 零点因夏令时不存在的日子，起点可能落在前一天。
	rows := slices.DeleteFunc(found.Rows, func(r usage.Row) bool { return !between(from, DayOf(r.Bucket.In(loc)), to) })
	ours, theirs, skipped := align(c, rows, loc, inside)
	report := Report{Servers: q.Servers, TimeZone: loc.String(), From: from, To: to, Currency: e.Currency, Lines: Compare(ours, theirs)}
	report.conclude(theirs.Has)
	report.Notes = append(report.Notes, found.Notes...)
	if priced := currencies(c); e.Currency != "" && theirs.Has[Cost] && len(priced) > 0 && !slices.Contains(priced, e.Currency) {
		report.Notes = append(report.Notes, fmt.Sprintf("the export is in %s and our prices are in %s: the costs are compared without conversion", e.Currency, strings.Join(priced, ", ")))
	}
	if skipped > 0 {
		report.Notes = append(report.Notes, fmt.Sprintf("%d calls named no model (files and the like); they have no tokens and are left out", skipped))
	}
	if n := len(e.Rows) - len(inside.Rows); n > 0 {
		report.Notes = append(report.Notes, fmt.Sprintf("%d day and model pairs of the export are outside from..to and left out", n))
	}
	return report, nil
}

// currencies 是各模型现在的价格所用的货币，按字母序。
func currencies(c *catalog.Catalog) []string {
	var out []string
	for _, m := range c.Models {
		if m.Prices != nil {
			out = append(out, m.Prices.Currency)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (q Query) location() (*time.Location, error) {
	if q.TimeZone == "" {
		return time.UTC, nil
	}
	loc, err := time.LoadLocation(q.TimeZone)
	if err != nil || q.TimeZone == "Local" {
		return nil, invalid("time_zone", "is not an IANA time zone such as Asia/Shanghai")
	}
	return loc, nil
}

func (q Query) days(e Export) (from, to Day, err error) {
	from, to = e.First, e.Last
	for _, d := range []struct {
		name, text string
		day        *Day
	}{{"from", q.From, &from}, {"to", q.To, &to}} {
		if d.text == "" {
			continue
		}
		t, err := time.Parse(time.DateOnly, d.text)
		if err != nil {
			return from, to, invalid(d.name, "must be a day such as 2026-11-01")
		}
		*d.day = DayOf(t)
	}
	switch span := to.utc().Sub(from.utc()); {
	case span < 0:
		return from, to, invalid("from", "must not be after to (%s to %s)", from, to)
	case span > maxDays*24*time.Hour:
		return from, to, invalid("from", "%s to %s is more than %d days", from, to, maxDays)
	}
	return from, to, nil
}

// knownServers 拒绝既不在配置里也没有用量的名字：写错一个字母，整份账单都会成了“我们没有”。
func knownServers(c *catalog.Catalog, rows []usage.Row, servers []string) error {
	for _, s := range servers {
		if c.Servers[s] == nil && !slices.ContainsFunc(rows, func(r usage.Row) bool { return r.Server == s }) {
			return invalid("server", "there is no server %q, nor usage of one on these days", s)
		}
	}
	return nil
}

// within 只留这几天的。
func (e Export) within(from, to Day) Export {
	rows := make(map[Key]Theirs, len(e.Rows))
	for k, t := range e.Rows {
		if between(from, k.Day, to) {
			rows[k] = t
		}
	}
	e.Rows = rows
	return e
}

func between(from, d, to Day) bool { return !d.Before(from) && !to.Before(d) }

// align 把两边都换成组的写法。没有模型也没有 token 的调用（文件之类）不在账单里，数出来另说。
func align(c *catalog.Catalog, rows []usage.Row, loc *time.Location, e Export) (map[Key]Ours, Export, int64) {
	n := newNames()
	for k := range e.Rows {
		n.root(k.Model)
	}
	for _, r := range rows {
		n.join(upstreams(c, r.Server, r.ServedModel))
	}
	labels := n.labels()
	ours := map[Key]Ours{}
	var skipped int64
	for _, r := range rows {
		switch {
		case r.Server == "" || r.Attempts == 0 && r.Requests == 0:
			continue
		case r.ServedModel == "" && r.PromptTokens+r.CompletionTokens+r.CostNano == 0:
			skipped += r.Attempts
			continue
		}
		k := Key{Day: DayOf(r.Bucket.In(loc)), Model: labels[upstreams(c, r.Server, r.ServedModel)[0]]}
		o := ours[k]
		o.add(r.Source, Sum{Requests: r.Requests, Attempts: r.Attempts, Failed: r.AttemptErrors, Prompt: r.PromptTokens,
			Completion: r.CompletionTokens, Cached: r.CachedTokens, CostNano: r.CostNano})
		ours[k] = o
	}
	theirs := make(map[Key]Theirs, len(e.Rows))
	for k, t := range e.Rows {
		to := Key{Day: k.Day, Model: labels[k.Model]}
		theirs[to] = theirs[to].plus(t)
	}
	e.Rows = theirs
	return ours, e, skipped
}

// conclude 合计，并取最要看的判断。
func (r *Report) conclude(has [metrics]bool) {
	r.Verdict, r.Totals.Compared = Match, has
	for _, l := range r.Lines {
		r.Totals.Ours, r.Totals.Theirs = r.Totals.Ours.plus(l.Ours), r.Totals.Theirs.plus(l.Theirs)
		switch {
		case !l.Verdict.Settled():
			r.Verdict = Unexplained
		case l.Verdict == Explained && r.Verdict == Match:
			r.Verdict = Explained
		}
	}
	r.Totals.Verdict = r.Verdict
	if t := r.Totals.Theirs.Values[Cost]; t != nil && *t != 0 && r.Totals.Ours.CostNano == 0 && r.Totals.Ours.Attempts > 0 {
		r.Notes = append(r.Notes, "our cost is zero: the models had no prices when these calls were made")
	}
}

func invalid(path, format string, args ...any) error {
	return vegaerr.New(vegaerr.Invalid, "", "the export cannot be compared").WithProblems(
		[]vegaerr.Problem{{Path: path, Message: fmt.Sprintf(format, args...)}})
}
