package usage_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// usageTables 是用量的全部状态；一起回到过去，如同从备份恢复。
var usageTables = []string{"usage_cursor", "usage_gap", "usage_retired", "usage_delta", "usage_minute", "usage_hour", "usage_day", "usage_hour_by", "usage_day_by", "usage_request"}

// TestReport_RestoredDatabaseHealsInsideRetentionAndSizesTheHoleBeyond：数据库回到从前的一份；
// 节点留着的重送，一条不少；留不住的成为一个洞，洞的大小由节点的累计说出，与真正丢的相等。
func TestReport_RestoredDatabaseHealsInsideRetentionAndSizesTheHoleBeyond(t *testing.T) {
	for name, keeps := range map[string]int{"inside": 20, "beyond": 35} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.New(t, migrate)
			store := openStore(t, url)
			conn := connect(t, url)
			r := startReplica(t, store, usage.Config{})
			journal := makeJournal(rand.New(rand.NewPCG(11, 11)), 50)
			c := open(t, r, "n", 1)
			c.hello()
			c.report(journal, 0, 15)
			settle(t, store)
			c.report(journal, 15, 20)
			for _, table := range usageTables {
				alter(t, conn, "CREATE TABLE backup_"+table+" AS SELECT * FROM "+table)
			}
			c.report(journal, 20, 40)
			settle(t, store)
			for _, table := range usageTables {
				alter(t, conn, "TRUNCATE "+table)
				alter(t, conn, fmt.Sprintf("INSERT INTO %s %s SELECT * FROM backup_%s", table, map[bool]string{true: "OVERRIDING SYSTEM VALUE"}[table == "usage_delta"], table))
			}
			c = open(t, r, "n", 1)
			resp, err := c.call(&usagev1.ReportRequest{Message: &usagev1.ReportRequest_Hello{Hello: &usagev1.Hello{
				NodeId: "n", Epoch: 1, FirstSeq: uint64(keeps + 1), LastSeq: 50, AckedSeq: 40, Durable: true}}})
			if err != nil || resp.GetAck().GetHighWater() != 20 {
				t.Fatalf("%v %v", resp, err)
			}
			if keeps == 20 {
				c.report(journal, 20, 50)
				verify(t, store, url, journal)
				if n := counter(t, r.reg, "vega_usage_healed_records_total", ""); n != 20 {
					t.Errorf("%v records healed", n)
				}
				return
			}
			gap := &usagev1.Record{Seq: 21, Body: &usagev1.Record_Gap{Gap: &usagev1.Gap{LastSeq: uint64(keeps), Reason: "no longer kept"}}}
			cumulative := sum(journal)
			cumulative.Lost = int64(keeps - 20)
			if resp, err = c.call(&usagev1.ReportRequest{Message: &usagev1.ReportRequest_Batch{Batch: &usagev1.Batch{NodeId: "n", Epoch: 1, FirstSeq: 21, LastSeq: 50,
				Records: append([]*usagev1.Record{gap}, journal[keeps:]...), Cumulative: cumulative}}}); err != nil || resp.GetAck().GetHighWater() != 50 {
				t.Fatalf("%v %v", resp, err)
			}
			verify(t, store, url, journal[:20], journal[keeps:])
			lost := sum(journal[20:keeps])
			var requests, tokens, cost, records int64
			if err := conn.QueryRowContext(t.Context(), "SELECT requests, prompt_tokens, cost_nano, lost FROM usage_gap").Scan(&requests, &tokens, &cost, &records); err != nil {
				t.Fatal(err)
			}
			if requests != lost.GetRequests() || tokens != lost.GetPromptTokens() || cost != lost.GetCostNano() || records != int64(keeps-20) {
				t.Errorf("the hole is said to be %d requests, %d tokens, %d nano, %d records; it is %v", requests, tokens, cost, records, lost)
			}
			fmt.Printf("figures: usage_restore beyond_retention hole_requests=%d hole_known_exactly=true false_alarms=%.0f\n", requests, counter(t, r.reg, "vega_usage_cumulative_mismatches_total", ""))
			if n := counter(t, r.reg, "vega_usage_cumulative_mismatches_total", ""); n != 0 {
				t.Errorf("%v alarms although the hole explains the difference", n)
			}
		})
	}
}
