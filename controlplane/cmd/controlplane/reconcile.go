package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/vega-gateway/vega/controlplane/internal/cli"
)

const reconcileHelp = `Compare a provider's usage or cost export with our usage, day by day and model by model. Nothing is written.

The export is CSV with a header line. Columns are found by the usual names of providers (date, model, input_tokens,
output_tokens, num_model_requests, amount_value, ...); name others with --column. Lines of the same day and model are summed.
What the export does not have is not compared; every error in it is listed with its line.

Our models are translated to the names they have upstream by the present configuration. If the provider bills under another
name, say --map THEIRS=OURS.

A row is
  match           equal (failed calls may be missing there; cost may differ by the rounding of the export)
  explained       within what calls with counted, partial or unknown tokens could account for, or calls around midnight
  unexplained     different, and nothing explains it
  missing_ours    only the provider has it
  missing_theirs  only we have it

Exit code: 0 match or explained, 2 unexplained or missing, 1 not compared.`

const reconcileExample = `  controlplane reconcile -f openai-november.csv --server openai
  controlplane reconcile -f bill.csv --server openai --time-zone America/Los_Angeles --from 2026-11-01 --to 2026-11-30
  controlplane reconcile -f bill.csv --map gpt-4o-2024-08-06=gpt-4o --column cost="Total (USD)" --format csv > differences.csv`

func reconcileCommand(streams cli.Streams) *cobra.Command {
	var o cli.ReconcileOptions
	c := &cobra.Command{
		Use: "reconcile", Short: "Compare a provider's export with our usage", Long: reconcileHelp, Example: reconcileExample, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return cli.Reconcile(c.Context(), os.Environ(), streams, o) },
	}
	f := c.Flags()
	f.StringVarP(&o.File, "file", "f", "", "the export, or - for standard input")
	f.StringArrayVar(&o.Servers, "server", nil, "the server the export is about; repeat for several (default all)")
	f.StringVar(&o.TimeZone, "time-zone", "", "IANA time zone of the export's days (default UTC)")
	f.StringVar(&o.From, "from", "", "first day, such as 2026-11-01 (default the first in the export)")
	f.StringVar(&o.To, "to", "", "last day, included (default the last in the export)")
	f.StringArrayVar(&o.Maps, "map", nil, "THEIRS=OURS: a model's name in the export and its upstream name here; repeat for several")
	f.StringArrayVar(&o.Columns, "column", nil, "FIELD=HEADER, FIELD being day, model, currency, requests, prompt_tokens, completion_tokens, cached_tokens or cost")
	f.StringVar(&o.Format, "format", "table", "table, json or csv")
	_ = c.MarkFlagRequired("file")
	return c
}
