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

func csvHeader() []string {
	return []string{
		"bucket", "server", "app", "model", "requests", "attempts", "refused",
		"errors", "errors_client", "errors_upstream", "errors_gateway", "errors_limit", "aborted", "attempt_errors",
		"prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "attempts_with_usage", "cost",
		"avg_queue_ms", "avg_first_byte_ms", "avg_duration_ms",
	}
}

// WriteCSV 以 RFC 4180 写出各行（含表头，不含总数）；文字栏防公式注入。
func WriteCSV(w io.Writer, res Result) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(csvHeader()); err != nil {
		return fmt.Errorf("write CSV header: %w", err)
	}
	for _, r := range res.Rows {
		if err := out.Write(csvRow(r)); err != nil {
			return fmt.Errorf("write CSV row: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}

func csvRow(r Row) []string {
	bucket := ""
	if !r.Bucket.IsZero() {
		bucket = r.Bucket.Format(time.RFC3339)
	}
	row := []string{bucket, inert(r.Server), inert(r.App), inert(r.Model)}
	for _, n := range []int64{
		r.Requests, r.Attempts, r.Refused, r.Errors, r.ErrorsClient, r.ErrorsUpstream, r.ErrorsGateway, r.ErrorsLimit,
		r.Aborted, r.AttemptErrors, r.PromptTokens, r.CompletionTokens, r.CachedTokens, r.ReasoningTokens, r.AttemptsWithUsage,
	} {
		row = append(row, strconv.FormatInt(n, 10))
	}
	row = append(row, FormatNano(r.CostNano))
	for _, ms := range []float64{r.AvgQueueMS(), r.AvgFirstByteMS(), r.AvgDurationMS()} {
		row = append(row, strconv.FormatFloat(ms, 'f', 3, 64))
	}
	return row
}

// inert 在会被表格软件当成公式的文字前加一个单引号（OWASP CSV Injection）；全角的等号加减号同样危险。
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(s)[0]) {
		return "'" + s
	}
	return s
}
