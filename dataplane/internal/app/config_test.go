package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const token = "VEGA_JOIN_TOKEN=0123456789abcdef"

func TestFromEnv_Defaults(t *testing.T) {
	c, err := FromEnv([]string{token})
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != ".data/dataplane" || c.HTTPAddr != ":8080" || c.OpsAddr != ":8081" || len(c.ControlplaneAddr) != 1 || c.ControlplaneAddr[0] != "127.0.0.1:9090" ||
		c.MaxBodyBytes != 32<<20 || time.Duration(c.DrainTimeout) != 600*time.Second || c.DrainDelay != 0 || c.JournalMaxBytes != 1<<30 || time.Duration(c.JournalKeep) != 15*time.Minute || c.JournalKeepBytes != 64<<20 || c.LogLevel != zapcore.InfoLevel || c.PProf || !c.plaintext() {
		t.Errorf("%+v", c)
	}
}

func TestFromEnv_ReadsEveryForm(t *testing.T) {
	file := filepath.Join(t.TempDir(), "join-token")
	if err := os.WriteFile(file, []byte("from-a-file-0123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := FromEnv([]string{"VEGA_JOIN_TOKEN_FILE=" + file, "VEGA_CONTROLPLANE_ADDR=cp-1:9090, [::1]:9090", "VEGA_DRAIN_TIMEOUT=90", "VEGA_DRAIN_DELAY=1m30s",
		"VEGA_CORS_ORIGINS=https://a.example.com,*", "VEGA_LOG_LEVEL=debug", "VEGA_NODE_ID=dp-1"})
	if err != nil {
		t.Fatal(err)
	}
	if c.JoinToken != "from-a-file-0123" || len(c.ControlplaneAddr) != 2 || c.ControlplaneAddr[1] != "[::1]:9090" ||
		time.Duration(c.DrainTimeout) != 90*time.Second || time.Duration(c.DrainDelay) != 90*time.Second || len(c.CORSOrigins) != 2 || c.NodeID != "dp-1" {
		t.Errorf("%+v", c)
	}
}

func TestFromEnv_WrongValueNamesItsVariableOnOneLine(t *testing.T) {
	for _, setting := range []string{
		"VEGA_JOIN_TOKEN=", "VEGA_JOIN_TOKEN=two words of a token", "VEGA_JOIN_TOKEN=line\nbreak", "VEGA_JOIN_TOKEN=口令口令口令",
		"VEGA_HTTP_ADDR=8080", "VEGA_HTTP_ADDR=127.0.0.1:http", "VEGA_OPS_ADDR=:70000", "VEGA_OPS_ADDR=:",
		"VEGA_CONTROLPLANE_ADDR=:9090", "VEGA_CONTROLPLANE_ADDR=cp-1", "VEGA_CONTROLPLANE_ADDR=cp-1:", "VEGA_CONTROLPLANE_ADDR=cp-1:0", "VEGA_CONTROLPLANE_ADDR=cp-1:9090,,cp-2:9090",
		"VEGA_CONTROLPLANE_ADDR=cp\n-1",
		"VEGA_NODE_ID=Upper", "VEGA_NODE_ID=a/b", "VEGA_NODE_ID=-a",
		"VEGA_MAX_BODY_BYTES=0", "VEGA_MAX_BODY_BYTES=-1", "VEGA_MAX_BODY_BYTES=32MB", "VEGA_MAX_BODY_BYTES=9223372036854775807",
		"VEGA_DRAIN_TIMEOUT=-1s", "VEGA_DRAIN_TIMEOUT=soon", "VEGA_DRAIN_DELAY=99999999999999999999",
		"VEGA_CORS_ORIGINS=app.example.com", "VEGA_CORS_ORIGINS=//app.example.com", "VEGA_CORS_ORIGINS=https://app.example.com/",
		"VEGA_GRPC_TLS_CERT=cert.pem", "VEGA_GRPC_TLS_KEY=key.pem", "VEGA_HTTP_TLS_KEY=key.pem", "VEGA_GRPC_INSECURE=maybe",
		"VEGA_JOURNAL_MAX_BYTES=1048576", "VEGA_JOURNAL_MAX_BYTES=1GiB", "VEGA_JOURNAL_KEEP=0", "VEGA_JOURNAL_KEEP=-1s", "VEGA_JOURNAL_KEEP_BYTES=0",
		"VEGA_LOG_LEVEL=loud", "VEGA_LOG_LEVEL=fatal", "VEGA_PPROF=2", "VEGA_NODE_ID_FILE=/absent/file",
	} {
		name, _, _ := strings.Cut(setting, "=")
		environ := []string{token, setting}
		if name == "VEGA_JOIN_TOKEN" {
			environ = environ[1:]
		}
		_, err := FromEnv(environ)
		if err == nil || !strings.Contains(err.Error(), name) || strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%q: %v", setting, err)
		}
	}
}

func TestPlaintext_OnlyOnLoopbackOrWhenSaidAndNeverWithCertificates(t *testing.T) {
	for _, c := range []struct {
		settings []string
		want     bool
	}{
		{nil, true},
		{[]string{"VEGA_CONTROLPLANE_ADDR=localhost:9090,[::1]:9090"}, true},
		{[]string{"VEGA_CONTROLPLANE_ADDR=127.0.0.1:9090,cp-2:9090"}, false},
		{[]string{"VEGA_CONTROLPLANE_ADDR=cp-1:9090", "VEGA_GRPC_INSECURE=true"}, true},
		{[]string{"VEGA_CONTROLPLANE_ADDR=cp-1:9090", "VEGA_GRPC_INSECURE=true", "VEGA_GRPC_TLS_CA=ca.pem"}, false},
		{[]string{"VEGA_GRPC_TLS_CA=ca.pem"}, false},
	} {
		cfg, err := FromEnv(append([]string{token}, c.settings...))
		if err != nil || cfg.plaintext() != c.want {
			t.Errorf("%v: plaintext %v, %v", c.settings, cfg.plaintext(), err)
		}
	}
}

func TestNodeID_IsKeptAndReplacedOnlyWhenUnreadable(t *testing.T) {
	dir, log := t.TempDir(), zap.NewNop()
	first := nodeID(Config{DataDir: dir}, dir, log)
	if !nodeName.MatchString(first) || nodeID(Config{DataDir: dir}, dir, log) != first {
		t.Errorf("%q is not kept", first)
	}
	if got := nodeID(Config{DataDir: dir, NodeID: "given"}, dir, log); got != "given" {
		t.Errorf("got %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, nodeFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if again := nodeID(Config{DataDir: dir}, dir, log); again == first || nodeID(Config{DataDir: dir}, dir, log) != again {
		t.Errorf("%q after the file was emptied", again)
	}
	if got := nodeID(Config{DataDir: dir}, "", log); got == nodeID(Config{DataDir: dir}, dir, log) || !nodeName.MatchString(got) {
		t.Errorf("%q comes from a directory that is not held", got)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}
