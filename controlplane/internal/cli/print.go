package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// printResult 先写变化，再写新密钥，最后写各节点的回音。
func printResult(w io.Writer, r Result, waited bool) error {
	var b bytes.Buffer
	for _, c := range r.Changes {
		fmt.Fprintln(&b, c.String())
	}
	switch {
	case len(r.Changes) == 0:
		fmt.Fprintf(&b, "no changes; revision %d stays\n", r.Revision)
	case r.DryRun:
		fmt.Fprintf(&b, "dry run: nothing was written; revision %d stays\n", r.Revision)
	default:
		fmt.Fprintf(&b, "revision %d\n", r.Revision)
	}
	if len(r.Keys) > 0 {
		fmt.Fprintln(&b, "\nnew keys, shown only this once:")
		t := table(&b, "APP", "KEY", "SECRET")
		for _, k := range r.Keys {
			fmt.Fprintf(t, "%s\t%s\t%s\n", k.App, k.Name, k.Secret)
		}
		_ = t.Flush() // 写进内存，不会失败
	}
	if waited && !r.DryRun {
		printRollout(&b, r)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func printRollout(b *bytes.Buffer, r Result) {
	if r.unknown() {
		fmt.Fprintln(b, "\nthe control plane could not tell which nodes applied it; see GET /api/v1/nodes")
		return
	}
	fmt.Fprintf(b, "\napplied by %d nodes, rejected by %d, no answer yet from %d\n", len(r.Applied), len(r.Rejected), len(r.Pending))
	if len(r.Rejected)+len(r.Pending) == 0 {
		return
	}
	t := table(b, "NODE", "STATE")
	for _, n := range r.Rejected {
		fmt.Fprintf(t, "%s\trejected: %s\n", n.Node, n.Error)
	}
	for _, n := range r.Pending {
		fmt.Fprintf(t, "%s\tno answer yet\n", n)
	}
	_ = t.Flush()
}

// Report 把错误写成人看得懂的样子：一行说明，逐处的错误列成表。
func Report(w io.Writer, err error) {
	var e *vegaerr.Error
	if !errors.As(err, &e) {
		fmt.Fprintf(w, "error: %v\n", err)
		return
	}
	fmt.Fprintf(w, "error: %s\n", e.Message)
	if len(e.Problems) == 0 {
		return
	}
	var b bytes.Buffer
	t := table(&b, "PATH", "PROBLEM")
	for _, p := range e.Problems {
		path := p.Path
		if path == "" {
			path = "-"
		}
		fmt.Fprintf(t, "%s\t%s\n", path, p.Message)
	}
	_ = t.Flush()
	_, _ = w.Write(b.Bytes())
}

func table(w io.Writer, head ...string) *tabwriter.Writer {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for i, h := range head {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		fmt.Fprint(t, h)
	}
	fmt.Fprintln(t)
	return t
}
