package app

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/dataplane/internal/controltest"
	"github.com/vega-gateway/vega/dataplane/internal/journal"
	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

func TestStart_IsReadyAfterTheFirstConfigurationAndServes(t *testing.T) {
	cp, up := controltest.Start(t, controltest.Config{}), upstream(t, upstreamtest.Config{})
	p := launch(t, testConfig(cp.Addr(), t.TempDir()))
	cp.WaitHello(t, 1)
	if status, body := p.ops("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "no configuration yet") {
		t.Errorf("before the first configuration: %d %s", status, body)
	}
	if status, body, _ := p.chat(false); status != http.StatusServiceUnavailable || !strings.Contains(body, "not_ready") {
		t.Errorf("before the first configuration: %d %s", status, body)
	}
	rev := cp.Push(t, snapshot(up.URL()))
	cp.WaitAck(t, rev)
	if !p.ready() {
		t.Error("not ready after the configuration was acknowledged")
	}
	p.mustServe()
	cp.WaitTotals(t, "the usage of one request", func(s journal.Totals) bool { return s.Requests == 1 && s.Attempts == 1 })
	cp.WaitStatus(t, p.NodeID(), func(s *configv1.NodeStatus) bool { return s.GetLastError() == "" && !s.GetDraining() })
	_, metrics := p.ops("/metrics")
	for _, line := range []string{"vega_config_revision 1", "vega_admission_connected 0", "vega_admission_leaked_permits 0", "vega_config_stream_connected 1", "vega_usage_stream_connected 1", "vega_data_dir_writable 1",
		"# TYPE vega_usage_dropped_total counter"} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("metrics lack %q", line)
		}
	}
}

func TestStart_StaysReadyWhileTheControlPlaneIsAway(t *testing.T) {
	cp, up := controltest.Start(t, controltest.Config{}), upstream(t, upstreamtest.Config{})
	p := launch(t, testConfig(cp.Addr(), t.TempDir()))
	cp.WaitAck(t, cp.Push(t, snapshot(up.URL())))
	cp.Stop()
	eventually(t, "the stream to be missed", func() bool { return !p.subscriber.Connected() })
	if !p.ready() {
		t.Error("unready without its control plane")
	}
	p.mustServe()
	cp.Restart(t)
	cp.WaitTotals(t, "the usage from the time alone", func(s journal.Totals) bool { return s.Requests == 1 })
}

func TestStart_ServesFromDiskWithTheControlPlaneGone(t *testing.T) {
	cp, up := controltest.Start(t, controltest.Config{}), upstream(t, upstreamtest.Config{})
	cfg := testConfig(cp.Addr(), t.TempDir())
	first := launch(t, cfg)
	cp.WaitAck(t, cp.Push(t, snapshot(up.URL())))
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	cp.Stop()
	second := launch(t, cfg)
	if !second.ready() {
		t.Fatal("not ready from the stored configuration")
	}
	second.mustServe()
	if first.NodeID() != second.NodeID() || first.NodeID() == "" {
		t.Errorf("node id %q, then %q", first.NodeID(), second.NodeID())
	}
}

func TestStart_UnwritableDataDirStillServesAndSaysSo(t *testing.T) {
	cp, up := controltest.Start(t, controltest.Config{}), upstream(t, upstreamtest.Config{})
	file := filepath.Join(t.TempDir(), "not-a-directory")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := launch(t, testConfig(cp.Addr(), file))
	cp.WaitAck(t, cp.Push(t, snapshot(up.URL())))
	p.mustServe()
	const says = "data directory cannot be written"
	cp.WaitStatus(t, p.NodeID(), func(s *configv1.NodeStatus) bool { return strings.Contains(s.GetLastError(), says) })
	if p.logs.FilterMessageSnippet(says).Len() == 0 {
		t.Error("not in the log")
	}
	_, metrics := p.ops("/metrics")
	for _, line := range []string{"vega_data_dir_writable 0", "vega_usage_journal_durable 0", "vega_usage_unjournalled_total 1"} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("metrics lack %q", line)
		}
	}
	cp.WaitStatus(t, p.NodeID(), func(s *configv1.NodeStatus) bool {
		j := s.GetJournal()
		return !j.GetDurable() && strings.Contains(j.GetTrouble(), says) && j.GetUnjournalled() == 1
	})
	cp.WaitTotals(t, "the request all the same", func(s journal.Totals) bool { return s.Requests == 1 })
	if q := cp.Ledgers()[0].Requests()[0]; !q.GetUnjournalled() {
		t.Errorf("%v", q)
	}
}

// TestStart_AJournalItCannotReadIsLeftAloneAndSaidSo：盘上是不认得的版本：一个字节也不动，只在内存里记，照常服务。
func TestStart_AJournalItCannotReadIsLeftAloneAndSaidSo(t *testing.T) {
	cp, up := controltest.Start(t, controltest.Config{}), upstream(t, upstreamtest.Config{})
	cfg := testConfig(cp.Addr(), t.TempDir())
	first := launch(t, cfg)
	cp.WaitAck(t, cp.Push(t, snapshot(up.URL())))
	first.mustServe()
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(cfg.DataDir, usageDir, "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("%v %v", segments, err)
	}
	b, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	b[7] = 99 // 格式的版本
	binary.LittleEndian.PutUint32(b[24:], crc32.Checksum(b[:24], crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(segments[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	p := launch(t, cfg)
	p.mustServe()
	cp.WaitStatus(t, p.NodeID(), func(s *configv1.NodeStatus) bool {
		return !s.GetJournal().GetDurable() && strings.Contains(s.GetJournal().GetTrouble(), "format version 99")
	})
	if p.logs.FilterMessageSnippet("kept in memory only").Len() == 0 {
		t.Error("not in the log")
	}
	if after, err := os.ReadFile(segments[0]); err != nil || !bytes.Equal(after, b) {
		t.Errorf("the file was changed: %v", err)
	}
}

func TestStart_InventedModelNamesAreNotReported(t *testing.T) {
	cp, up := controltest.Start(t, controltest.Config{}), upstream(t, upstreamtest.Config{})
	p := launch(t, testConfig(cp.Addr(), t.TempDir()))
	cp.WaitAck(t, cp.Push(t, snapshot(up.URL())))
	req, err := http.NewRequest(http.MethodPost, "http://"+p.HTTPAddr()+"/v1/chat/completions", strings.NewReader(`{"model":"invented"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	if status, body, err := do(req); status != http.StatusNotFound || err != nil {
		t.Fatalf("%d %v %s", status, err, body)
	}
	cp.WaitTotals(t, "the refusal", func(s journal.Totals) bool { return s.Refused == 1 })
	r := cp.Ledgers()[0].Records[0].GetRefusals()
	if r.GetModel() != "" || r.GetCode() != "model_not_found" || r.GetApp() != "team" {
		t.Errorf("%v", r)
	}
}

func TestStart_FailsWithTheVariableAndLeavesNothingBehind(t *testing.T) {
	cfg := testConfig("127.0.0.1:1", t.TempDir())
	taken := launch(t, cfg)
	for name, edit := range map[string]func(*Config){
		"VEGA_HTTP_ADDR":     func(c *Config) { c.HTTPAddr = taken.HTTPAddr() },
		"VEGA_OPS_ADDR":      func(c *Config) { c.OpsAddr = taken.HTTPAddr() },
		"VEGA_GRPC_TLS_CA":   func(c *Config) { c.GRPCTLSCA = filepath.Join(t.TempDir(), "absent") },
		"VEGA_GRPC_TLS_CERT": func(c *Config) { c.GRPCTLSCert, c.GRPCTLSKey = "absent", "absent" },
		"VEGA_HTTP_TLS_CERT": func(c *Config) { c.HTTPTLSCert, c.HTTPTLSKey = "absent", "absent" },
	} {
		bad := cfg
		edit(&bad)
		if err := Run(t.Context(), bad, "test"); err == nil || !strings.HasPrefix(err.Error(), name+":") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
