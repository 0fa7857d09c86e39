package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
)

// manyApps 是 n 个 app、各一把 key 的文档。
func manyApps(n int) string {
	apps := make([]string, n)
	for i := range apps {
		apps[i] = fmt.Sprintf(`{"name": "app-%d", "keys": [{"name": "default", "secret": "secret-of-thirty-two-or-more-characters-%d"}]}`, i, i)
	}
	return `{"servers": [{"name": "s", "base_url": "http://a"}], "models": [{"name": "m", "targets": [{"server": "s", "upstream_model": "u"}]}], "apps": [` + strings.Join(apps, ",") + `]}`
}

func TestChange_WritesOnlyTheRowsThatChanged(t *testing.T) {
	s, url := openConfig(t)
	applyDoc(t, s, manyApps(500), catalog.ApplyOptions{})
	applyDoc(t, s, `{"apps": [{"name": "app-7", "weight": 3}]}`, catalog.ApplyOptions{})
	conn := sqlConn(t, url)
	for table, want := range map[string]int{"objects": 1, "object_history": 1, "keys": 0, "server_credentials": 0, "revisions": 1} {
		var n int
		// 与版本号同一个事务写下的行，才是这一次写的。
		err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" WHERE xmin = (SELECT xmin FROM config_head)").Scan(&n)
		if err != nil || n != want {
			t.Errorf("%s: %d rows written, want %d (%v)", table, n, want, err)
		}
	}
}

func BenchmarkChange_OneAppOfTenThousand(b *testing.B) {
	s, _ := openConfig(b)
	applyDoc(b, s, manyApps(10_000), catalog.ApplyOptions{})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		applyDoc(b, s, fmt.Sprintf(`{"apps": [{"name": "app-7", "weight": %d}]}`, 2+i%100), catalog.ApplyOptions{})
	}
}

func BenchmarkLoad_TenThousandApps(b *testing.B) {
	s, _ := openConfig(b)
	applyDoc(b, s, manyApps(10_000), catalog.ApplyOptions{})
	b.ReportAllocs()
	for b.Loop() {
		load(b, s)
	}
}
