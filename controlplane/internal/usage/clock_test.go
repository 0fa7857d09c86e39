package usage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// TestReport_AClockThatJumpsByHoursNeitherMovesNorLosesAnything：节点的钟先准，再快五小时，再慢三小时；
// 每一批以发送时刻量出的偏差校正，桶与真正结束的时刻一致，总数不受影响。
func TestReport_AClockThatJumpsByHoursNeitherMovesNorLosesAnything(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	c := open(t, startReplica(t, store, usage.Config{}), "n", 1)
	c.hello()
	var journal []*usagev1.Record
	want := map[string]int{}
	for i, jump := range []time.Duration{0, 5 * time.Hour, -3 * time.Hour, 5 * time.Hour} {
		now := time.Now()
		var batch []*usagev1.Record
		for k := range 20 { // 真正在 k 分钟之前的半分钟结束；节点以为差了 jump
			ended := now.Truncate(time.Minute).Add(30*time.Second - time.Duration(k+1)*time.Minute)
			want[ended.UTC().Truncate(time.Minute).Format(time.RFC3339)]++
			batch = append(batch, at(uint64(i*20+k+1), ended.Add(jump), "s", "a", "m"))
		}
		journal = append(journal, batch...)
		_, err := c.call(&usagev1.ReportRequest{Message: &usagev1.ReportRequest_Batch{Batch: &usagev1.Batch{
			NodeId: "n", Epoch: 1, FirstSeq: uint64(i*20 + 1), LastSeq: uint64(i*20 + 20), Records: batch,
			Cumulative: sum(journal), SentUnixMs: now.Add(jump).UnixMilli()}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	verify(t, store, url, journal)
	levelsAgree(t, store)
	conn := connect(t, url)
	for minute, n := range want {
		if got := scalar[int](t, conn, fmt.Sprintf("SELECT COALESCE(sum(requests), 0)::int FROM usage_minute WHERE bucket = '%s'", minute)); got != n {
			t.Errorf("%s holds %d, want %d", minute, got, n)
		}
	}
}
