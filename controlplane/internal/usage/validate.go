package usage

import (
	"fmt"
	"math"

	"github.com/vega-gateway/vega/controlplane/internal/nodeauth"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	maxRecords  = 20_000
	maxAttempts = 64
	// 一个数字的上限。比任何真实的请求大得多，又小得使 bigint 的总数装得下八百万个极值。
	maxNumber = 1 << 40
	// 费用的单位小，放宽到约九百万货币单位一次调用。
	maxCost = 1 << 53
	// maxGapTotal 比单条记录的上限大得多：一个洞可以盖住一个节点一生的总数。
	maxGapTotal = 1 << 60
)

func checkHello(h *usagev1.Hello) error {
	if err := nodeauth.CheckNodeID(h.GetNodeId()); err != nil {
		return err
	}
	if h.GetFirstSeq() == 0 || h.GetLastSeq() > math.MaxInt64 || h.GetFirstSeq() > h.GetLastSeq()+1 {
		return invalid("hello: sequence range %d..%d is not valid", h.GetFirstSeq(), h.GetLastSeq())
	}
	return nil
}

// checkBatch 查序号连续、数字不为负且不荒唐、条数有界。内容上的名字不在这里查，见 clean。
func checkBatch(b *usagev1.Batch) error {
	if b.GetFirstSeq() == 0 || b.GetLastSeq() > math.MaxInt64 || b.GetLastSeq() < b.GetFirstSeq() {
		return invalid("batch: sequence range %d..%d is not valid", b.GetFirstSeq(), b.GetLastSeq())
	}
	if len(b.GetRecords()) > maxRecords {
		return vegaerr.New(vegaerr.TooLarge, "", "batch: %d records; at most %d are allowed", len(b.GetRecords()), maxRecords)
	}
	next := b.GetFirstSeq()
	for _, r := range b.GetRecords() {
		if r.GetSeq() != next {
			return invalid("batch %d..%d: found record %d where %d was expected", b.GetFirstSeq(), b.GetLastSeq(), r.GetSeq(), next)
		}
		if err := checkRecord(r); err != nil {
			return invalid("record %d: %v", r.GetSeq(), err)
		}
		next = lastSeq(r) + 1
	}
	if next != b.GetLastSeq()+1 {
		return invalid("batch %d..%d: records end at %d", b.GetFirstSeq(), b.GetLastSeq(), next-1)
	}
	return nil
}

func checkRecord(r *usagev1.Record) error {
	switch body := r.GetBody().(type) {
	case *usagev1.Record_Request:
		return checkRequest(body.Request)
	case *usagev1.Record_Refusals:
		return firstBad(map[string]int64{"count": body.Refusals.GetCount(), "second_unix": body.Refusals.GetSecondUnix()}, maxNumber)
	case *usagev1.Record_Gap:
		return checkGap(r.GetSeq(), body.Gap)
	default:
		return fmt.Errorf("unknown kind of record")
	}
}

func checkGap(seq uint64, g *usagev1.Gap) error {
	if g.GetLastSeq() < seq || g.GetLastSeq() > math.MaxInt64 || g.GetLastSeq()-seq > maxCost {
		return fmt.Errorf("gap to %d is not valid", g.GetLastSeq())
	}
	for name, n := range totalsOf(g.GetTotals()).Columns() {
		if err := inRange(name, n, maxGapTotal); err != nil {
			return err
		}
	}
	return nil
}

func checkRequest(q *usagev1.Request) error {
	if len(q.GetAttempts()) > maxAttempts {
		return fmt.Errorf("%d attempts; at most %d are allowed", len(q.GetAttempts()), maxAttempts)
	}
	if err := firstBad(map[string]int64{
		"queue_us": q.GetQueueUs(), "first_byte_us": q.GetFirstByteUs(),
		"started_unix_ms": q.GetStartedUnixMs(), "ended_unix_ms": q.GetEndedUnixMs(),
	}, maxNumber<<3); err != nil {
		return err
	}
	for _, a := range q.GetAttempts() {
		if err := checkAttempt(a); err != nil {
			return fmt.Errorf("attempt %d: %w", a.GetNumber(), err)
		}
	}
	return nil
}

func checkAttempt(a *usagev1.Attempt) error {
	if err := inRange("cost_nano", a.GetCostNano(), maxCost); err != nil {
		return err
	}
	if a.GetSource() < 0 || a.GetSource() > math.MaxInt16 {
		return fmt.Errorf("source %d is not valid", a.GetSource())
	}
	u := a.GetUsage()
	return firstBad(map[string]int64{
		"duration_us": a.GetDurationUs(), "prompt_tokens": u.GetPromptTokens(), "completion_tokens": u.GetCompletionTokens(),
		"cached_tokens": u.GetCachedTokens(), "reasoning_tokens": u.GetReasoningTokens(),
	}, maxNumber)
}

func firstBad(numbers map[string]int64, limit int64) error {
	for name, n := range numbers {
		if err := inRange(name, n, limit); err != nil {
			return err
		}
	}
	return nil
}

func inRange(name string, n, limit int64) error {
	if n < 0 || n > limit {
		return fmt.Errorf("%s is %d, outside 0..%d", name, n, limit)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return vegaerr.New(vegaerr.Invalid, "", format, args...)
}
