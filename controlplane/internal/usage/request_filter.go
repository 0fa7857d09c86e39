package usage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	defaultRequests = 50
	maxRequests     = 200
	maxValues       = 100
	maxText         = 256
)

// RequestFilter 挑请求；各项都要成立，一项之内的几个值有一个成立即可，零值不挑。
type RequestFilter struct {
	// From（含）与 To（不含）是结束的时刻。
	From, To time.Time
	// ID 是请求号，或客户端自己的请求号；一字不差。
	ID   string
	Apps []string
	// Models 是客户端所要的公开名。
	Models []string
	// Servers 是任何一次调用到过的。
	Servers []string
	// Keys 是 key 的 id，或 app/name。
	Keys     []string
	Outcomes []usagev1.Outcome
	Statuses []int
	Sources  []usagev1.Source
	Stream   *bool
	// MinDuration 是从到达至结束至少多久。
	MinDuration time.Duration
	// Text 是各个号与名字里的一段，不分大小写（只认 ASCII 的大小写）。
	Text string
}

// ParseOutcomes 认出下场的公开名；不认识的为 vegaerr.Invalid。
func ParseOutcomes(names []string) ([]usagev1.Outcome, error) {
	return parseNames[usagev1.Outcome]("outcome", names, OutcomeNames())
}

// ParseSources 认出来源的公开名；不认识的为 vegaerr.Invalid。
func ParseSources(names []string) ([]usagev1.Source, error) {
	return parseNames[usagev1.Source]("source", names, SourceNames())
}

func parseNames[T ~int32](path string, names, known []string) ([]T, error) {
	var out []T
	for _, n := range names {
		i := slices.Index(known, n)
		if i < 0 {
			return nil, invalidRequests(vegaerr.Problem{Path: path, Message: fmt.Sprintf("%.40q is not one of %s", n, strings.Join(known, ", "))})
		}
		out = append(out, T(i))
	}
	return out, nil
}

func (f RequestFilter) problems() []vegaerr.Problem {
	var list []vegaerr.Problem
	bad := func(path, format string, args ...any) {
		list = append(list, vegaerr.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		bad("from", "must be before to")
	}
	for path, t := range map[string]time.Time{"from": f.From, "to": f.To} {
		if !t.IsZero() && (t.Year() < 1970 || t.Year() > 9999) {
			bad(path, "must be between the years 1970 and 9999")
		}
	}
	if f.MinDuration < 0 || f.MinDuration > oldestRecord {
		bad("min_duration_ms", "must be between 0 and %d", oldestRecord.Milliseconds())
	}
	for _, v := range f.Statuses {
		if v < 0 || v > 999 {
			bad("status", "%d is not an HTTP status", v)
		}
	}
	for _, texts := range []struct {
		path   string
		values []string
	}{{"id", []string{f.ID}}, {"q", []string{f.Text}}, {"app", f.Apps}, {"model", f.Models}, {"server", f.Servers}, {"key", f.Keys}} {
		if len(texts.values) > maxValues {
			bad(texts.path, "at most %d values are allowed", maxValues)
		}
		if slices.ContainsFunc(texts.values, func(v string) bool {
			return len(v) > maxText || strings.ContainsRune(v, 0) || strings.ToValidUTF8(v, "") != v
		}) {
			bad(texts.path, "must be valid text of at most %d bytes", maxText)
		}
	}
	slices.SortFunc(list, func(a, b vegaerr.Problem) int { return strings.Compare(a.Path, b.Path) })
	return list
}

func invalidRequests(problems ...vegaerr.Problem) error {
	return vegaerr.New(vegaerr.Invalid, "", "the search for requests is not valid").WithProblems(problems)
}
