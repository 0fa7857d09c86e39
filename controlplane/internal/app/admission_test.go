package app_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/vega-gateway/vega/controlplane/internal/app"
	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/embedded"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// sharedDatabase 起一台给几个副本共用的 PostgreSQL。
func sharedDatabase(t *testing.T) (url string) {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Config{DataDir: t.TempDir(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return server.URL()
}

// replicaOn 是用着 url 的一个副本的设置。
func replicaOn(t *testing.T, url string) app.Config {
	cfg := onFreePorts(t.TempDir())
	cfg.DatabaseURL, cfg.JoinToken, cfg.MasterKey = url, "join-token-0123456789", strings.Repeat("ab", 32)
	return cfg
}

type board []struct {
	Server string
	Leader struct {
		Address  string
		Term     int
		Learning bool
	}
}

// queues 问到有了回答为止。
func (p *process) queues() (b board) {
	p.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		code, body := p.admin(http.MethodGet, "/queues", "")
		if code == http.StatusOK {
			if err := json.Unmarshal([]byte(body), &b); err != nil {
				p.t.Fatal(err)
			}
			return b
		}
		if code != http.StatusServiceUnavailable || time.Now().After(deadline) {
			p.t.Fatalf("%d %s", code, body)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestApp_ReplicasLeadAdmissionOneAfterTheOther(t *testing.T) {
	url := sharedDatabase(t)
	first := launch(t, replicaOn(t, url))
	if code, body := first.admin(http.MethodPut, "/config", oneServer); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	for len(first.queues()) == 0 { // 那一版还没有到授予者
		time.Sleep(5 * time.Millisecond)
	}
	second := launch(t, replicaOn(t, url))
	for name, p := range map[string]*process{"leader": first, "follower": second} {
		if b := p.queues(); len(b) != 1 || b[0].Server != "gpu-1" || b[0].Leader.Address != first.GRPCAddr().String() || b[0].Leader.Term != 1 {
			t.Errorf("%s: %+v", name, b)
		}
	}
	began := time.Now()
	go first.stop()
	for second.queues()[0].Leader.Term != 2 {
		time.Sleep(5 * time.Millisecond)
	}
	took := time.Since(began)
	t.Logf("another replica grants %v after SIGTERM", took.Round(time.Millisecond))
	if b := second.queues(); took > 2*time.Second || b[0].Leader.Address != second.GRPCAddr().String() {
		t.Errorf("after %v: %+v", took, b)
	}
}

func TestApp_IsReadyWhoeverLeadsAdmission(t *testing.T) {
	url := sharedDatabase(t)
	if _, err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	conn, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "INSERT INTO admission_leader VALUES ('admission', 'a ghost', 3, clock_timestamp() + interval '1 hour', '127.0.0.1:1')"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wg.Go(func() { // 它一直续着：站着不动的那一行会被接过去
		for ctx.Err() == nil {
			_, _ = conn.ExecContext(ctx, "UPDATE admission_leader SET expires_at = expires_at + interval '1 ms'")
			time.Sleep(200 * time.Millisecond)
		}
	})
	p := launch(t, replicaOn(t, url)) // launch 等 /readyz
	code, body := p.admin(http.MethodGet, "/queues", "")
	if code != http.StatusServiceUnavailable || !strings.Contains(body, `"code":"unavailable"`) {
		t.Errorf("%d %s", code, body)
	}
}

func TestRun_SendsTheNodesOfAdmissionAwayAndEndsSoon(t *testing.T) {
	cfg := onFreePorts(t.TempDir())
	cfg.JoinToken = "join-token-0123456789"
	p := launch(t, cfg)
	p.queues() // 有人当任
	conn, err := grpc.NewClient(p.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+cfg.JoinToken)
	stream, err := admissionv1.NewAdmissionServiceClient(conn).Admit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&admissionv1.AdmitRequest{NodeId: "n1", Epoch: 1, Stream: 1, Seq: 1, Hello: &admissionv1.Hello{}}); err != nil {
		t.Fatal(err)
	}
	for welcome := false; !welcome; {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		welcome = m.GetWelcome()
	}
	began := time.Now()
	go p.stop()
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatalf("ended without a word: %v", err)
		}
		if m.GetNotLeader() != nil {
			break
		}
	}
	told := time.Since(began)
	p.stop()
	t.Logf("node told after %v, process ended after %v", told.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	if told > time.Second || time.Since(began) > 2*time.Second {
		t.Errorf("told after %v, ended after %v", told, time.Since(began))
	}
}

func TestApp_AsksTheLeaderOverMutualTLS(t *testing.T) {
	url := sharedDatabase(t)
	cert, key := selfSigned(t)
	secure := func() app.Config {
		cfg := replicaOn(t, url)
		cfg.GRPCTLSCert, cfg.GRPCTLSKey, cfg.GRPCTLSCA = cert, key, cert
		return cfg
	}
	first := launch(t, secure())
	first.queues()
	second := launch(t, secure())
	if code, body := first.admin(http.MethodPut, "/config", oneServer); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	for len(first.queues()) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	if b := second.queues(); len(b) != 1 || b[0].Leader.Address != first.GRPCAddr().String() {
		t.Errorf("%+v", b)
	}
}
