package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vega-gateway/vega/dataplane/internal/controltest"
	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

func TestMain(m *testing.M) {
	if os.Getenv(childMark) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}

const secret = "vg-test-secret-of-at-least-thirty-two-chars"

// snapshot 是一个 server、一个模型、一个 app、一把钥匙。
func snapshot(upstream string) *configv1.Snapshot {
	return &configv1.Snapshot{
		KeyPepper: []byte(controltest.Pepper),
		Servers:   []*configv1.Server{ruleset.NewServer("gpu-1", upstream+"/v1")},
		Models:    []*configv1.Model{{Name: "gpt-4o", Targets: []*configv1.Target{ruleset.NewTarget("gpu-1", "up")}}},
		Apps:      []*configv1.App{ruleset.NewApp("team")},
		Keys:      []*configv1.Key{controltest.Key("k1", "team", secret)},
	}
}

// process 是一个跑着的数据面，与它的日志。
type process struct {
	*App
	t     *testing.T
	logs  *observer.ObservedLogs
	stop  context.CancelFunc
	ended chan error
}

// testConfig 是连到 controlplane 的设置，监听回环上的空闲端口。
func testConfig(controlplane, dir string) Config {
	return Config{
		DataDir: dir, HTTPAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", ControlplaneAddr: []string{controlplane},
		JoinToken: controltest.DefaultJoinToken, MaxBodyBytes: 1 << 20, DrainTimeout: Duration(20 * time.Second),
	}
}

func launch(t *testing.T, cfg Config) *process {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	ctx, cancel := context.WithCancel(context.Background())
	a, err := Start(ctx, cfg, "test", zap.New(core))
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	p := &process{App: a, t: t, logs: logs, stop: cancel, ended: make(chan error, 1)}
	a.flushTimeout = 2 * time.Second
	go func() { p.ended <- a.Wait(ctx) }()
	t.Cleanup(func() { p.end() })
	return p
}

// end 要它停下，等它停完；可以重复调用。
func (p *process) end() error {
	p.t.Helper()
	p.stop()
	select {
	case err := <-p.ended:
		p.ended <- err
		return err
	case <-time.After(30 * time.Second):
		p.t.Error("the process does not end")
		return nil
	}
}

// client 每次用新的连接：留着的连接会让人看不出监听已经关了。
func client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
}

// chat 送一个请求；读完应答。
func (p *process) chat(stream bool) (status int, body string, err error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+p.HTTPAddr()+"/v1/chat/completions",
		strings.NewReader(fmt.Sprintf(`{"model":"gpt-4o","stream":%t,"messages":[{"role":"user","content":"hi"}]}`, stream)))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+secret)
	return do(req)
}

func do(req *http.Request) (status int, body string, err error) {
	resp, err := client().Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// ops 问运维监听。
func (p *process) ops(path string) (status int, body string) {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+p.OpsAddr()+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if status, body, err = do(req); err != nil {
		p.t.Fatalf("ops %s: %v", path, err)
	}
	return status, body
}

func (p *process) mustServe() {
	p.t.Helper()
	if status, body, err := p.chat(false); status != http.StatusOK || err != nil {
		p.t.Fatalf("status %d, %v: %s", status, err, body)
	}
}

// eventually 等 ok 为真。
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for ", what)
		}
	}
}

func (p *process) ready() bool {
	status, _ := p.ops("/readyz")
	return status == http.StatusOK
}

func upstream(t *testing.T, cfg upstreamtest.Config) *upstreamtest.Server {
	t.Helper()
	up := upstreamtest.New(cfg).Start()
	t.Cleanup(up.Close)
	return up
}
