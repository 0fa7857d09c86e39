package reconcile

import (
	"slices"
	"strings"
)

// field 是表里我们认得的一栏。
type field string

const (
	fieldDay      field = "day"
	fieldModel    field = "model"
	fieldCurrency field = "currency"
)

// metricFields 是可比的各栏在选项与应答里的名字，次序同 Metrics。
func metricFields() []field {
	return []field{"requests", "prompt_tokens", "completion_tokens", "cached_tokens", "cost"}
}

// String 是 m 在选项与应答里的名字。
func (m Metric) String() string { return string(metricFields()[m]) }

// Fields 列出可以用 Options.Columns 指明的栏。
func Fields() []string {
	out := []string{string(fieldDay), string(fieldModel), string(fieldCurrency)}
	for _, f := range metricFields() {
		out = append(out, string(f))
	}
	return out
}

// aliases 是各家导出里的写法，先写的先认。
func aliases(f field) []string {
	switch f {
	case fieldDay:
		return []string{"day", "date", "usage_date", "start_time_iso", "start_time", "bucket", "timestamp"}
	case fieldModel:
		return []string{"model", "model_name", "model_id", "upstream_model"}
	case fieldCurrency:
		return []string{"currency", "amount_currency", "cost_currency"}
	case "requests":
		return []string{"requests", "n_requests", "num_requests", "num_model_requests", "request_count"}
	case "prompt_tokens":
		return []string{"prompt_tokens", "input_tokens", "n_context_tokens_total", "context_tokens"}
	case "completion_tokens":
		return []string{"completion_tokens", "output_tokens", "n_generated_tokens_total", "generated_tokens"}
	case "cached_tokens":
		return []string{"cached_tokens", "input_cached_tokens", "cached_input_tokens", "n_cached_context_tokens_total", "cache_read_input_tokens"}
	case "cost":
		return []string{"cost", "amount", "amount_value", "total_cost", "cost_usd"}
	}
	return nil
}

// plain 使 "Input Tokens" 与 input_tokens 相同。
func plain(header string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(header)))
}

// layout 是各栏在第几列；没有的不在其中。
type layout map[field]int

// findColumns 由表头认出各栏；problem 不为空即认不全。
func findColumns(header []string, named map[string]string) (l layout, problems []string) {
	l = layout{}
	names := make([]string, len(header))
	for i, h := range header {
		names[i] = plain(h)
	}
	for _, f := range append([]field{fieldDay, fieldModel, fieldCurrency}, metricFields()...) {
		if h, ok := named[string(f)]; ok {
			i := slices.Index(names, plain(h))
			if i < 0 {
				problems = append(problems, "there is no column \""+h+"\" for "+string(f))
				continue
			}
			l[f] = i
			continue
		}
		for _, a := range aliases(f) {
			if i := slices.Index(names, a); i >= 0 {
				l[f] = i
				break
			}
		}
	}
	for _, f := range []field{fieldDay, fieldModel} {
		if _, ok := l[f]; !ok && named[string(f)] == "" {
			problems = append(problems, "there is no column for "+string(f)+"; known names: "+strings.Join(aliases(f), ", ")+"; name another with column="+string(f)+"=HEADER")
		}
	}
	if !slices.ContainsFunc(metricFields(), func(f field) bool { _, ok := l[f]; return ok }) {
		problems = append(problems, "there is no column to compare: requests, tokens or cost")
	}
	return l, problems
}
