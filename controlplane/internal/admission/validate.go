package admission

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vega-gateway/vega/controlplane/internal/nodeauth"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// 一帧里各栏的上限：比任何真实的机队大得多，又小得使加在一起不会溢出。
const (
	maxItems      = 100_000 // 一种事情的件数：一万个 app 各三个池也装得下
	maxCandidates = 1000    // 一个请求的目标数
	maxName       = 512     // 字节；模型名可以很长
	maxVersion    = 256
	maxUnits      = 1 << 40 // 一次的单位数
	maxTotal      = 1 << 60 // 一个 epoch 的累计值
	maxMicros     = 1 << 53
	maxWeight     = 1 << 30
	maxTerm       = 1 << 31
	// maxTermJump 是一帧里的任期至多比本副本听说过的大多少：换一次任加一，差得再多就是坏的，
	// 信了它，节点就都只认它，一路坏下去。
	maxTermJump = 1 << 20
)

// checkHello 查一条流的第一帧。
func checkHello(req *admissionv1.AdmitRequest) error {
	if req.GetHello() == nil {
		return invalid("the first frame must carry a hello")
	}
	if err := nodeauth.CheckNodeID(req.GetNodeId()); err != nil {
		return err
	}
	return checkBody(req)
}

// checkFrame 查 c 上后来的一帧：同一条流不能换身份。
func checkFrame(req *admissionv1.AdmitRequest, c *conn) error {
	if req.GetNodeId() != c.node || req.GetEpoch() != c.epoch || req.GetStream() != c.stream {
		return invalid("every frame must carry the node id, epoch and stream of the hello")
	}
	return checkBody(req)
}

// checkBody 查件数、名字、池与数字；内容对不对由 Grantor 判断。
func checkBody(req *admissionv1.AdmitRequest) error {
	b := &check{}
	b.number("sent_us", req.GetSentUs(), maxMicros)
	b.name("version", req.GetHello().GetVersion(), maxVersion)
	b.name("hello.instance", req.GetHello().GetInstance(), maxVersion)
	b.amounts("hello.holdings", req.GetHello().GetHoldings())
	b.amounts("claims", req.GetClaims())
	b.amounts("returns", req.GetReturns())
	b.amounts("demands", req.GetDemands().GetAmounts())
	b.amounts("busy", req.GetBusy().GetAmounts())
	b.count("settled", len(req.GetSettled()))
	b.count("served", len(req.GetServed()))
	b.count("cancels", len(req.GetCancels()))
	b.count("waiters", len(req.GetWaiters()))
	b.count("pauses", len(req.GetPauses()))
	if b.err != nil {
		return b.err
	}
	for _, x := range req.GetSettled() {
		b.pool("settled", x.GetPool())
		b.number("settled.reserved", x.GetReserved(), maxTotal)
		b.number("settled.used", x.GetUsed(), maxTotal)
	}
	for _, x := range req.GetServed() {
		b.served(x)
	}
	for _, x := range req.GetWaiters() {
		b.descriptor(x)
	}
	for _, x := range req.GetPauses() {
		b.target("pauses", x.GetServer(), x.GetUpstreamModel())
		b.number("pauses.for_us", x.GetForUs(), maxMicros)
	}
	return b.err
}

// checkTerm 查节点见过的任期；known 是本副本听说过的最大任期，不大于它的总是可以。
func checkTerm(term, known uint64) error {
	if term > known && (term-known > maxTermJump || term > maxTerm) {
		return invalid("term %d is too far beyond the known %d", term, known)
	}
	return nil
}

// check 记下第一处不合规矩。
type check struct{ err error }

func (b *check) fail(format string, args ...any) {
	if b.err == nil {
		b.err = invalid(format, args...)
	}
}

func (b *check) number(what string, n, limit int64) {
	if n < 0 || n > limit {
		b.fail("%s is %d, outside 0..%d", what, n, limit)
	}
}

func (b *check) count(what string, n int) {
	if n > maxItems {
		b.fail("%s: %d items; at most %d are allowed", what, n, maxItems)
	}
}

func (b *check) name(what, s string, limit int) {
	if len(s) > limit {
		b.fail("%s: a name of %d bytes is too long", what, len(s))
	}
}

func (b *check) target(what, server, upstream string) {
	if server == "" {
		b.fail("%s: the server is missing", what)
	}
	b.name(what, server, maxName)
	b.name(what, upstream, maxName)
}

func (b *check) pool(what string, p *admissionv1.Pool) {
	if (p.GetServer() == "") == (p.GetApp() == "") {
		b.fail("%s: a pool has exactly one of server and app", what)
	}
	if k := p.GetKind(); k < admissionv1.PoolKind_POOL_KIND_IN_FLIGHT || k > admissionv1.PoolKind_POOL_KIND_TOKENS {
		b.fail("%s: pool kind %d is not known", what, k)
	}
	b.name(what, p.GetServer(), maxName)
	b.name(what, p.GetApp(), maxName)
}

func (b *check) amounts(what string, list []*admissionv1.Amount) {
	b.count(what, len(list))
	if b.err != nil {
		return
	}
	for _, a := range list {
		b.pool(what, a.GetPool())
		b.number(what, a.GetUnits(), maxUnits)
		b.number(what+".granted_us", a.GetGrantedUs(), maxMicros)
	}
}

// served 的代价可以为负：按实际减去预测。
func (b *check) served(x *admissionv1.Served) {
	b.target("served", x.GetServer(), "")
	b.name("served", x.GetApp(), maxName)
	b.number("served.weight", x.GetWeight(), maxWeight)
	b.number("served.cost", abs(x.GetCost()), maxTotal)
	b.number("served.requests", x.GetRequests(), maxTotal)
	b.number("served.busy_us", x.GetBusyUs(), maxTotal)
}

func (b *check) descriptor(d *admissionv1.Descriptor) {
	b.name("waiters", d.GetApp(), maxName)
	b.number("waiters.age_us", abs(d.GetAgeUs()), maxMicros) // 刚到的可以差一点成负的
	b.number("waiters.wait_us", d.GetWaitUs(), maxMicros)
	b.number("waiters.prompt_tokens", d.GetPromptTokens(), maxUnits)
	b.number("waiters.output_tokens", d.GetOutputTokens(), maxUnits)
	b.number("waiters.weight", d.GetWeight(), maxWeight)
	if len(d.GetCandidates()) > maxCandidates {
		b.fail("waiters: %d candidates; at most %d are allowed", len(d.GetCandidates()), maxCandidates)
		return
	}
	for _, c := range d.GetCandidates() {
		b.target("waiters.candidates", c.GetServer(), c.GetUpstreamModel())
		b.number("waiters.candidates.weight", c.GetWeight(), maxWeight)
		b.number("waiters.candidates.priority", c.GetPriority(), maxWeight)
	}
}

// abs 是绝对值；没有绝对值的那一个原样返回，仍是负的。
func abs(n int64) int64 { return max(n, -n) }

func invalid(format string, args ...any) error {
	return vegaerr.New(vegaerr.Invalid, "", format, args...)
}

// oneLine 把节点给的文字变成可进日志的一行。
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s))
}
