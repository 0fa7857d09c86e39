package usage

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

const nano = 1_000_000_000

// FormatNano 把 10⁻⁹ 单位的整数写成最短的小数，如 1500000000 是 "1.5"。
func FormatNano(n int64) string {
	sign, whole, frac := "", n/nano, n%nano
	if n < 0 {
		sign, whole, frac = "-", -whole, -frac
	}
	s := sign + strconv.FormatInt(whole, 10)
	if frac == 0 {
		return s
	}
	return s + "." + strings.TrimRight(fmt.Sprintf("%09d", frac), "0")
}

// csvHeader 新的栏只接在后面：已有的读者按位置读也不会错。
func csvHeader(percentiles []float64) []string {
	header := []string{
		"bucket", "server", "app", "model", "requests", "attempts", "refused",
		"errors", "errors_client", "errors_upstream", "errors_gateway", "errors_limit", "aborted", "attempt_errors",
		"prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "attempts_with_usage", "cost",
		"avg_queue_ms", "avg_first_byte_ms", "avg_duration_ms",
		"served_model", "source", "code", "other", "replayed", "unjournalled",
	}
	for _, kind := range []string{"requests", "tokens", "cost"} {
		for _, source := range SourceNames()[1:] {
			header = append(header, kind+"_"+source)
		}
	}
	for _, what := range []string{"queue", "first_byte", "duration"} {
		for _, p := range percentiles {
			header = append(header, fmt.Sprintf("%s_%s_ms", what, PercentileName(p)))
		}
	}
	return header
}

// PercentileName 是百分位的名字，如 p99、p99.9。
func PercentileName(p float64) string { return "p" + strconv.FormatFloat(p, 'f', -1, 64) }

// WriteCSV 以 RFC 4180 写出各行（含表头，不含总数）；文字栏防公式注入。
// 每行都按来源分开请求、token 与费用，因此一行一行地也看得出数字从哪里来。
func WriteCSV(w io.Writer, res Result) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(csvHeader(res.Percentiles)); err != nil {
		return fmt.Errorf("write CSV header: %w", err)
	}
	for _, r := range res.Rows {
		if err := out.Write(csvRow(r, len(res.Percentiles))); err != nil {
			return fmt.Errorf("write CSV row: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}

func csvRow(r Row, percentiles int) []string {
	bucket := ""
	if !r.Bucket.IsZero() {
		bucket = r.Bucket.Format(time.RFC3339)
	}
	row := []string{bucket, Inert(r.Server), Inert(r.App), Inert(r.Model)}
	row = appendInts(row, r.Requests, r.Attempts, r.Refused, r.Errors, r.ErrorsClient, r.ErrorsUpstream, r.ErrorsGateway, r.ErrorsLimit,
		r.Aborted, r.AttemptErrors, r.PromptTokens, r.CompletionTokens, r.CachedTokens, r.ReasoningTokens, r.AttemptsWithUsage)
	row = append(row, FormatNano(r.CostNano))
	for _, ms := range []float64{r.AvgQueueMS(), r.AvgFirstByteMS(), r.AvgDurationMS()} {
		row = append(row, formatMS(ms))
	}
	row = append(row, Inert(r.ServedModel), Inert(r.Source), Inert(r.Code), strconv.FormatBool(r.Other))
	row = appendInts(row, r.Replayed, r.Unjournalled)
	for _, s := range r.BySource[1:] {
		row = appendInts(row, s.Requests)
	}
	for _, s := range r.BySource[1:] {
		row = appendInts(row, s.Tokens)
	}
	for _, s := range r.BySource[1:] {
		row = append(row, FormatNano(s.CostNano))
	}
	return appendLatency(row, r.Latency, percentiles)
}

func appendInts(row []string, numbers ...int64) []string {
	for _, n := range numbers {
		row = append(row, strconv.FormatInt(n, 10))
	}
	return row
}

// appendLatency 没有一次观察的栏空着：那不是零。
func appendLatency(row []string, l *Latency, percentiles int) []string {
	if l == nil {
		l = new(Latency)
	}
	for _, values := range [][]float64{l.QueueMS, l.FirstByteMS, l.DurationMS} {
		for i := range percentiles {
			if i < len(values) {
				row = append(row, formatMS(values[i]))
			} else {
				row = append(row, "")
			}
		}
	}
	return row
}

func formatMS(ms float64) string { return strconv.FormatFloat(ms, 'f', 3, 64) }

// Inert 在会被表格软件当成公式的文字前加一个单引号（OWASP CSV Injection）；全角的等号加减号同样危险。
func Inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(s)[0]) {
		return "'" + s
	}
	return s
}
