package reconcile_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/reconcile"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

func migrate(ctx context.Context, url string) error {
	_, err := postgres.Migrate(ctx, url)
	return err
}

// configuration 是不变的一版：fast 与 cheap 是两个公开模型名，在 openai 上去同一个上游模型；mixed 去两个。
type configuration struct{}

func (configuration) Load(context.Context) (*catalog.Catalog, error) {
	c := catalog.New()
	for _, s := range []string{"openai", "azure"} {
		c.Servers[s] = &catalog.Server{ServerSpec: catalog.ServerSpec{Name: s}}
	}
	for name, targets := range map[string][]catalog.Target{
		"fast":  {{Server: "openai", UpstreamModel: "gpt-4o"}, {Server: "azure", UpstreamModel: "deployment-7"}},
		"cheap": {{Server: "openai", UpstreamModel: "gpt-4o"}},
		"mixed": {{Server: "openai", UpstreamModel: "o3"}, {Server: "openai", UpstreamModel: "o4-mini"}},
	} {
		c.Models[name] = &catalog.Model{ModelSpec: catalog.ModelSpec{Name: name, Targets: targets}}
	}
	c.Models["fast"].Prices = &catalog.Prices{Currency: "USD"}
	return c, nil
}

// books 是一本真的账：记下调用，对账单。
type books struct {
	*reconcile.Reconciler
	t     *testing.T
	store *postgres.Store
	seq   uint64
	now   time.Time
}

func openBooks(t *testing.T) *books {
	t.Helper()
	s, err := postgres.Open(t.Context(), pgtest.New(t, migrate), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	now := time.Now().UTC()
	return &books{Reconciler: reconcile.New(usage.NewReader(s, nil), configuration{}), t: t, store: s, now: now}
}

// day 是 ago 天以前的 UTC 正午。
func (b *books) day(ago int) time.Time {
	return b.now.Truncate(24*time.Hour).AddDate(0, 0, -ago).Add(12 * time.Hour)
}

// call 记一次到 server 的请求。
func (b *books) call(at time.Time, server, served string, source usagev1.Source, prompt, completion, cost int64) {
	b.t.Helper()
	b.seq++
	a := &usagev1.Attempt{Number: 1, Server: server, ServedModel: served, Outcome: usagev1.Outcome_OUTCOME_OK, Source: source, CostNano: cost}
	if source != usagev1.Source_SOURCE_UNKNOWN {
		a.Usage = &usagev1.Usage{PromptTokens: proto.Int64(prompt), CompletionTokens: proto.Int64(completion)}
	}
	if source == usagev1.Source_SOURCE_UNSPECIFIED {
		a.Outcome, a.Status, a.Usage = usagev1.Outcome_OUTCOME_LIMITED, 429, nil
	}
	_, err := b.store.IngestUsage(b.t.Context(), usage.Batch{NodeID: "n1", Epoch: 1, First: b.seq, Last: b.seq, Clock: usage.Clock{Now: b.now},
		Records: []*usagev1.Record{{Seq: b.seq, Body: &usagev1.Record_Request{Request: &usagev1.Request{
			Id: fmt.Sprint("req_", b.seq), App: "a", Model: served, ServedModel: served, Outcome: a.Outcome,
			StartedUnixMs: at.UnixMilli() - 1000, EndedUnixMs: at.UnixMilli(), Attempts: []*usagev1.Attempt{a}}}}}})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *books) reported(at time.Time, server, served string) {
	b.t.Helper()
	b.call(at, server, served, usagev1.Source_SOURCE_REPORTED, 1000, 200, 10_000_000)
}

func (b *books) reconcile(q reconcile.Query, lines ...string) reconcile.Report {
	b.t.Helper()
	r, err := b.Reconcile(b.t.Context(), q, []byte("day,model,requests,input_tokens,output_tokens,cost\n"+strings.Join(lines, "\n")+"\n"))
	if err != nil {
		b.t.Fatalf("%v %+v", err, vegaerr.As(err).Problems)
	}
	return r
}

func verdicts(r reconcile.Report) []string {
	var out []string
	for _, l := range r.Lines {
		out = append(out, fmt.Sprintf("%s %s", l.Model, l.Verdict))
	}
	return out
}

func (b *books) date(ago int) string { return b.day(ago).Format(time.DateOnly) }

func TestReconcile_PublicNamesBecomeUpstreamNamesAndServersStayApart(t *testing.T) {
	b := openBooks(t)
	for _, m := range []string{"fast", "fast", "cheap", "mixed", "gone"} {
		b.reported(b.day(2), "openai", m)
	}
	b.reported(b.day(2), "azure", "fast")
	b.call(b.day(2), "openai", "fast", usagev1.Source_SOURCE_UNSPECIFIED, 0, 0, 0)
	b.call(b.day(2), "openai", "", usagev1.Source_SOURCE_UNKNOWN, 0, 0, 0)
	bill := []string{
		b.date(2) + ",gpt-4o,2,2000,400,0.02", b.date(2) + ",gpt-4o,1,1000,200,0.01",
		b.date(2) + ",o3,1,600,150,0.007", b.date(2) + ",o4-mini,0,400,50,0.003", b.date(2) + ",gone,1,1000,200,0.01",
	}
	r := b.reconcile(reconcile.Query{Servers: []string{"openai"}}, bill...)
	if want := []string{"gone match", "gpt-4o match", "o3 + o4-mini match"}; !slices.Equal(verdicts(r), want) || r.Verdict != reconcile.Match {
		t.Fatalf("%v %s", verdicts(r), r.Verdict)
	}
	if r.Totals.Ours.Attempts != 6 || r.Totals.Ours.Failed != 1 || *r.Totals.Theirs.Values[reconcile.Prompt] != 5000 || *r.Totals.Difference(reconcile.Cost) != 0 {
		t.Fatalf("totals %+v", r.Totals)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "1 calls named no model") {
		t.Fatalf("notes %q", r.Notes)
	}
	r = b.reconcile(reconcile.Query{Servers: []string{"azure"}, Models: map[string]string{"gpt-4o-azure": "deployment-7"}}, b.date(2)+",gpt-4o-azure,1,1000,200,0.01")
	if !slices.Equal(verdicts(r), []string{"deployment-7 match"}) {
		t.Fatalf("%v", verdicts(r))
	}
	// 全部 server 一起时，azure 上的另成一行。
	r = b.reconcile(reconcile.Query{}, append(bill, b.date(2)+",deployment-7,1,1000,200,0.01")...)
	if r.Verdict != reconcile.Match || len(r.Lines) != 4 {
		t.Fatalf("%v", verdicts(r))
	}
}

func TestReconcile_SaysWhatIsMissingAndWhatCannotBeExplained(t *testing.T) {
	b := openBooks(t)
	for range 5 {
		b.reported(b.day(3), "openai", "fast")
		b.reported(b.day(2), "openai", "fast")
		b.reported(b.day(1), "openai", "fast")
	}
	b.call(b.day(3), "openai", "fast", usagev1.Source_SOURCE_UNKNOWN, 0, 0, 0)
	r := b.reconcile(reconcile.Query{}, b.date(3)+",gpt-4o,6,6100,1150,0.06", b.date(2)+",gpt-4o,5,9000,1000,0.09", b.date(1)+",o1,1,10,10,0.1")
	want := []string{"gpt-4o explained", "gpt-4o unexplained", "gpt-4o missing_theirs", "o1 missing_ours"}
	if !slices.Equal(verdicts(r), want) || r.Verdict != reconcile.Unexplained {
		t.Fatalf("%v %s", verdicts(r), r.Verdict)
	}
	if l := r.Lines[0]; l.Ours.Unknown.Attempts != 1 || *l.Difference(reconcile.Prompt) != 1100 || fmt.Sprintf("%.1f", *l.Percent(reconcile.Prompt)) != "22.0" {
		t.Fatalf("%+v", l)
	}
	var csv bytes.Buffer
	if err := reconcile.WriteCSV(&csv, r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(csv.String(), "\r\n")
	if len(lines) != 6 || !strings.HasPrefix(lines[1], b.date(3)+",gpt-4o,explained,6,0,6,5000,1000,0,0.05,6,6100,1150,,0.06,0,1100,150,,0.01,0.0000,22.0000,15.0000,,20.0000,5,0,0,1,") {
		t.Fatalf("%s", csv.String())
	}
}

func TestReconcile_NotesSayOnlyWhatIsSo(t *testing.T) {
	b := openBooks(t)
	const unpriced, foreign = "our cost is zero", "the export is in EUR and our prices are in USD"
	head := "date,model,requests,cost,currency\n"
	notes := func(export string) string {
		t.Helper()
		r, err := b.Reconcile(t.Context(), reconcile.Query{}, []byte(head+export))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(r.Notes, "; ")
	}
	if n := notes(b.date(1) + ",gpt-4o,1,0.5,usd\n"); n != "" {
		t.Errorf("no usage of ours, the same currency: %q", n)
	}
	b.call(b.day(1), "openai", "fast", usagev1.Source_SOURCE_REPORTED, 10, 10, 0)
	if n := notes(b.date(1) + ",gpt-4o,1,0.5,eur\n"); !strings.Contains(n, unpriced) || !strings.Contains(n, foreign) {
		t.Errorf("calls without a price, another currency: %q", n)
	}
}

func TestReconcile_DaysBeginWhereTheTimeZoneSays(t *testing.T) {
	b := openBooks(t)
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	y, m, d := b.day(3).Date()
	midnight := time.Date(y, m, d, 0, 0, 0, 0, shanghai)
	b.reported(midnight.Add(-time.Minute), "openai", "fast")
	b.reported(midnight.Add(time.Minute), "openai", "fast")
	b.reported(midnight.Add(24*time.Hour-time.Minute), "openai", "fast")
	b.reported(midnight.Add(24*time.Hour), "openai", "fast")
	r := b.reconcile(reconcile.Query{TimeZone: "Asia/Shanghai"}, midnight.Format(time.DateOnly)+",gpt-4o,2,2000,400,0.02")
	if !slices.Equal(verdicts(r), []string{"gpt-4o match"}) {
		t.Fatalf("%v %+v", verdicts(r), r.Lines)
	}
	r = b.reconcile(reconcile.Query{TimeZone: "Asia/Shanghai", From: midnight.AddDate(0, 0, -1).Format(time.DateOnly), To: midnight.AddDate(0, 0, 1).Format(time.DateOnly)},
		midnight.Format(time.DateOnly)+",gpt-4o,2,2000,400,0.02")
	if !slices.Equal(verdicts(r), []string{"gpt-4o missing_theirs", "gpt-4o match", "gpt-4o missing_theirs"}) {
		t.Fatalf("%v", verdicts(r))
	}
}

func TestReconcile_BadQuestionsAreRefusedByName(t *testing.T) {
	b := openBooks(t)
	good := "day,model,requests\n2026-11-01,m,1\n"
	for name, c := range map[string]struct {
		q      reconcile.Query
		export string
		path   string
	}{
		"time zone":   {reconcile.Query{TimeZone: "Mars/Olympus"}, good, "time_zone"},
		"from":        {reconcile.Query{From: "yesterday"}, good, "from"},
		"to":          {reconcile.Query{To: "2026-13-01"}, good, "to"},
		"backwards":   {reconcile.Query{From: "2026-11-03"}, good, "from"},
		"years":       {reconcile.Query{From: "2020-01-01"}, good, "from"},
		"server":      {reconcile.Query{Servers: []string{"openai", "opennai"}}, good, "server"},
		"bad line":    {reconcile.Query{}, "day,model,requests\n2026-11-01,m,x\n", "line 2"},
		"empty table": {reconcile.Query{}, "", "line 1"},
	} {
		_, err := b.Reconcile(t.Context(), c.q, []byte(c.export))
		if e := vegaerr.As(err); e.Code != vegaerr.Invalid || e.Problems[0].Path != c.path {
			t.Errorf("%s: %v %+v", name, err, e.Problems)
		}
	}
}
