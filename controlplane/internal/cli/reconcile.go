package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// ExitUnexplained 是对账时有差得没有道理的。
const ExitUnexplained = 2

var errUnexplained = errors.New("the export and our usage differ in ways that nothing explains; see the rows above")

// notCompared 使没比成的退出码总是 1：2 留给比出来的差。
type notCompared struct{ error }

// Unwrap 给出缘由。
func (e notCompared) Unwrap() error { return e.error }

// ReconcileOptions 的零值是：全部 server、UTC、照表头认栏、写成表。
type ReconcileOptions struct {
	// File 是账单，"-" 为 stdin。
	File     string
	Servers  []string
	TimeZone string
	// From 与 To 是首日与末日（含）；空为账单里最早与最晚的一天。
	From, To string
	// Maps 是「账单里的模型名=上游模型名」，Columns 是「栏=表头」。
	Maps, Columns []string
	// Format 是 table、json 或 csv；空为 table。
	Format string
}

// Reconcile 是 `controlplane reconcile`：拿供应商的账单对照用量，写出每行的差。
func Reconcile(ctx context.Context, environ []string, s Streams, o ReconcileOptions) error {
	body, verdict, err := o.compare(ctx, environ, s.In)
	if err != nil {
		return notCompared{err}
	}
	if o.Format == "json" || o.Format == "csv" {
		_, err = s.Out.Write(body)
	} else {
		err = printReconciled(s.Out, body)
	}
	if err != nil {
		return notCompared{err}
	}
	if verdict != "match" && verdict != "explained" {
		return errUnexplained
	}
	return nil
}

func (o ReconcileOptions) compare(ctx context.Context, environ []string, stdin io.Reader) (body []byte, verdict string, err error) {
	if !slices.Contains([]string{"", "table", "json", "csv"}, o.Format) {
		return nil, "", vegaerr.New(vegaerr.Invalid, "", "--format must be table, json or csv")
	}
	cfg, err := FromEnv(environ)
	if err != nil {
		return nil, "", err
	}
	export, _, err := readSource(o.File, stdin)
	if err != nil {
		return nil, "", vegaerr.Wrap(err, vegaerr.Invalid, "", "cannot read the file: %v", err)
	}
	return NewClient(cfg).Reconcile(ctx, o, export)
}

// Reconcile 送出账单；verdict 是各行里最要看的。o.Format 为 csv 时 body 是 CSV，否则是 JSON。
func (c *Client) Reconcile(ctx context.Context, o ReconcileOptions, export []byte) (body []byte, verdict string, err error) {
	q := url.Values{"server": o.Servers, "map": o.Maps, "column": o.Columns}
	for name, value := range map[string]string{"time_zone": o.TimeZone, "from": o.From, "to": o.To} {
		if value != "" {
			q.Set(name, value)
		}
	}
	header := http.Header{"Content-Type": {"text/csv"}, "Accept": {"application/json"}}
	if o.Format == "csv" {
		header.Set("Accept", "text/csv")
	}
	body, answered, err := c.send(ctx, http.MethodPost, "/api/v1/usage/reconcile?"+q.Encode(), export, header)
	if err != nil {
		return nil, "", err
	}
	if verdict = answered.Get("x-vega-verdict"); verdict == "" {
		return nil, "", fmt.Errorf("read the answer of %s: it does not say its verdict; check VEGA_ADMIN_URL", c.baseURL)
	}
	return body, verdict, nil
}

// reconciled 是应答里表要用的几栏；数照原文留着，不经浮点。
type reconciled struct {
	TimeZone string `json:"time_zone"`
	From     string `json:"from"`
	To       string `json:"to"`
	Verdict  string `json:"verdict"`
	Rows     []struct {
		Day     string `json:"day"`
		Model   string `json:"model"`
		Verdict string `json:"verdict"`
		Note    string `json:"note"`
		reconciledFigures
	} `json:"rows"`
	Totals reconciledFigures `json:"totals"`
	Notes  []string          `json:"notes"`
}

type reconciledFigures struct {
	Ours       map[string]json.Number  `json:"ours"`
	Difference map[string]*json.Number `json:"difference"`
}

// printReconciled 写成表：每格是我们的数，比过而不同的跟着差（供应商的减去我们的）。
func printReconciled(w io.Writer, body []byte) error {
	var r reconciled
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s to %s, days of %s; each cell is our number, then what the export has more (+) or less (-); ? is not in the export\n\n", r.From, r.To, r.TimeZone)
	t := table(&b, "DAY", "MODEL", "REQUESTS", "PROMPT", "COMPLETION", "CACHED", "COST", "VERDICT")
	notes := r.Notes
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", row.Day, row.Model, row.cells(), row.Verdict)
		if row.Note != "" {
			notes = append(notes, row.Day+" "+row.Model+": "+row.Note)
		}
	}
	fmt.Fprintf(t, "total\t\t%s\t%s\n", r.Totals.cells(), r.Verdict)
	_ = t.Flush() // 写进内存，不会失败
	if len(notes) > 0 {
		fmt.Fprintln(&b)
	}
	for _, n := range notes {
		fmt.Fprintln(&b, "note:", n)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (f reconciledFigures) cells() string {
	var b bytes.Buffer
	for i, name := range []string{"requests", "prompt_tokens", "completion_tokens", "cached_tokens", "cost"} {
		if i > 0 {
			b.WriteByte('\t')
		}
		b.WriteString(f.Ours[name].String())
		switch d := f.Difference[name]; {
		case d == nil:
			b.WriteString(" ?")
		case *d == "0":
		case (*d)[0] == '-':
			b.WriteString(" " + d.String())
		default:
			b.WriteString(" +" + d.String())
		}
	}
	return b.String()
}
