package adminapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/live"
	"github.com/vega-gateway/vega/controlplane/internal/push"
)

// troupe 是会变的机队。
type troupe struct {
	fleet
	mu    sync.Mutex
	nodes []push.Node
	down  error
}

func (f *troupe) Nodes(context.Context) ([]push.Node, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]push.Node(nil), f.nodes...), f.down
}

func (f *troupe) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = err
}

func (f *troupe) set(nodes ...push.Node) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes = nodes
}

// message 是一个事件；注释的 event 为 ":"。
type message struct{ event, data string }

// listener 是一条开着的流。
type listener struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Reader
}

func (b *bench) listen(query string, header ...string) *listener {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), "GET", b.url+"/api/v1/events"+query, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 {
		body, _ := io.ReadAll(resp.Body)
		b.t.Fatalf("%d %s", resp.StatusCode, body)
	}
	l := &listener{t: b.t, response: resp, lines: bufio.NewReader(resp.Body)}
	if line, err := l.lines.ReadString('\n'); line != "retry: 2000\n" {
		b.t.Fatalf("first %q %v", line, err)
	}
	if line, err := l.lines.ReadString('\n'); line != "\n" {
		b.t.Fatalf("then %q %v", line, err)
	}
	return l
}

// next 读下一个事件或注释；流结束为 io.EOF。
func (l *listener) next() (m message, err error) {
	for {
		line, err := l.lines.ReadString('\n')
		if err != nil {
			return m, err
		}
		switch text := strings.TrimSuffix(line, "\n"); {
		case text == "" && m.event != "":
			return m, nil
		case strings.HasPrefix(text, ":"):
			m.event = ":"
		case strings.HasPrefix(text, "event: "):
			m.event = strings.TrimPrefix(text, "event: ")
		case strings.HasPrefix(text, "data: "):
			m.data += strings.TrimPrefix(text, "data: ")
		}
	}
}

// await 读到 topic 的一份、且 ok 为止，解进 into。
func (l *listener) await(topic string, into any, ok func() bool) {
	l.t.Helper()
	for {
		m, err := l.next()
		if err != nil {
			l.t.Fatalf("the stream ended before %s: %v", topic, err)
		}
		if m.event != topic {
			continue
		}
		if err := json.Unmarshal([]byte(m.data), into); err != nil {
			l.t.Fatalf("%s: %v", m.data, err)
		}
		if ok == nil || ok() {
			return
		}
	}
}

type fleetSeen struct {
	HeadRevision uint64 `json:"head_revision"`
	Nodes        []struct {
		ID              string
		AppliedRevision uint64 `json:"applied_revision"`
	}
}

func TestEvents_ShowARevisionSpreading(t *testing.T) {
	var w watched
	f := &troupe{}
	f.set(push.Node{ID: "n1", Connected: true})
	b := onPostgres(t, openPostgres(t), func(_ *adminapi.Config, d *adminapi.Deps) { d.Fleet = f }, running(t, &w, nil, live.PublisherConfig{}))
	l := b.listen("")
	h := l.response.Header
	if h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no" || h.Get("Content-Encoding") != "" {
		t.Errorf("%v", h)
	}
	var seen fleetSeen
	l.await("fleet", &seen, func() bool { return len(seen.Nodes) == 1 })
	b.apply(document)
	w.publish(1)
	var r struct {
		Revision uint64
		Summary  string
	}
	var head, applied bool
	for !head || !applied {
		m, err := l.next()
		if err != nil {
			t.Fatal(err)
		}
		switch m.event {
		case "revision":
			if err := json.Unmarshal([]byte(m.data), &r); err != nil {
				t.Fatal(err)
			}
			head = head || r.Revision == 1 && r.Summary != ""
		case "fleet":
			if err := json.Unmarshal([]byte(m.data), &seen); err != nil {
				t.Fatal(err)
			}
			if seen.HeadRevision == 1 && seen.Nodes[0].AppliedRevision == 0 {
				f.set(push.Node{ID: "n1", Connected: true, AppliedRevision: 1})
			}
			applied = applied || seen.HeadRevision == 1 && seen.Nodes[0].AppliedRevision == 1
		}
	}
}

func TestEvents_CarryTheOverviewAndOneServersQueues(t *testing.T) {
	var w watched
	b := onPostgres(t, openPostgres(t), func(_ *adminapi.Config, d *adminapi.Deps) {
		d.Queues = &board{queues: admission.Queues{Rows: []admission.Queue{{Server: "gpu-1"}, {Server: "gpu-2", Waiting: 4}}}}
	}, running(t, &w, nil, live.PublisherConfig{}))
	l := b.listen("?topics=overview,queues&server=gpu-2")
	var queues []struct {
		Server  string
		Waiting int
	}
	l.await("queues", &queues, nil)
	if len(queues) != 1 || queues[0].Server != "gpu-2" || queues[0].Waiting != 4 {
		t.Errorf("%+v", queues)
	}
	var o struct {
		Series   []struct{ Requests int }
		Problems []struct{ Kind, Severity string }
	}
	l.await("overview", &o, nil)
	if len(o.Series) != 60 || len(o.Problems) != 1 || o.Problems[0].Kind != "no_nodes" || o.Problems[0].Severity != "error" {
		t.Errorf("%+v", o)
	}
	if p := b.bad("GET", "/events?topics=fleet,weather", "").want(400).problem(); len(p.Errors) != 1 || p.Errors[0].Path != "topics" {
		t.Errorf("%+v", p)
	}
	b.bad("GET", "/events?topic=fleet", "").want(400)
}

// 数据库走开时心跳照常：流自己要说出来，不然停住的数看着像此刻的。
func TestEvents_SayWhichTopicsStandStill(t *testing.T) {
	var w watched
	f := &troupe{}
	f.set(push.Node{ID: "n1", Connected: true})
	b := newBench(t, newMemory(), func(_ *adminapi.Config, d *adminapi.Deps) { d.Fleet = f }, running(t, &w, nil, live.PublisherConfig{}))
	l := b.listen("?topics=fleet,revision")
	var seen fleetSeen
	l.await("fleet", &seen, nil)
	var frozen struct{ Topics []string }
	f.fail(errors.New("no database"))
	l.await("frozen", &frozen, nil)
	if len(frozen.Topics) != 1 || frozen.Topics[0] != "fleet" {
		t.Errorf("%+v", frozen)
	}
	late := b.listen("?topics=fleet")
	late.await("frozen", &frozen, func() bool { return len(frozen.Topics) == 1 })
	f.fail(nil)
	for _, x := range []*listener{l, late} {
		frozen.Topics = nil
		x.await("frozen", &frozen, nil)
		if frozen.Topics == nil || len(frozen.Topics) != 0 {
			t.Errorf("still %+v", frozen)
		}
	}
}

func TestEvents_OutliveTheLimitsOfAnOrdinaryRequestAndKeepBeating(t *testing.T) {
	var w watched
	b := newBench(t, newMemory(), func(c *adminapi.Config, _ *adminapi.Deps) {
		c.TimeLimit, c.Events.Heartbeat, c.Events.Recheck = 50*time.Millisecond, 100*time.Millisecond, 20*time.Millisecond
	}, running(t, &w, nil, live.PublisherConfig{}))
	l := b.listen("")
	for beats := 0; beats < 4; {
		m, err := l.next()
		if err != nil {
			t.Fatal(err)
		}
		if m.event == ":" {
			beats++
		}
	}
}

// 监听的读写期限比流短得多，HTTP/1.1 与 HTTP/2 各有各的断法；外面还套着链路追踪，与真的一样。
func TestEvents_OutliveTheDeadlinesOfTheListener(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			var w watched
			var cfg adminapi.Config
			var deps adminapi.Deps
			s := newMemory()
			newBench(t, s, running(t, &w, nil, live.PublisherConfig{}), func(c *adminapi.Config, d *adminapi.Deps) {
				c.Events.Heartbeat, d.Identity = 300*time.Millisecond, defaultIdentity(t, s)
				cfg, deps = *c, *d
			})
			h, err := adminapi.New(cfg, deps)
			if err != nil {
				t.Fatal(err)
			}
			ts := httptest.NewUnstartedServer(otelhttp.NewHandler(h, "admin"))
			ts.Config.ReadTimeout, ts.Config.WriteTimeout, ts.EnableHTTP2 = 200*time.Millisecond, 200*time.Millisecond, h2
			if ts.StartTLS(); !h2 {
				ts.TLS.NextProtos = []string{"http/1.1"}
			}
			t.Cleanup(ts.Close)
			req, err := http.NewRequestWithContext(t.Context(), "GET", ts.URL+"/api/v1/events?topics=fleet", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := ts.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != 200 || resp.Proto != name {
				t.Fatalf("%s %d", resp.Proto, resp.StatusCode)
			}
			l := &listener{t: t, response: resp, lines: bufio.NewReader(resp.Body)}
			for beats := 0; beats < 3; {
				m, err := l.next()
				if err != nil {
					t.Fatalf("after %d beats: %v", beats, err)
				}
				if m.event == ":" {
					beats++
				}
			}
		})
	}
}

func TestEvents_EndWithTheSession(t *testing.T) {
	s := openPostgres(t)
	var w watched
	quick := func(c *adminapi.Config, _ *adminapi.Deps) { c.Events.Recheck = 30 * time.Millisecond }
	b := onPostgres(t, s, quick, running(t, &w, nil, live.PublisherConfig{}))
	ends := func(l *listener, status int) {
		t.Helper()
		var p struct {
			Status    int
			Code      string
			RequestID string `json:"request_id"`
		}
		l.await("end", &p, nil)
		if p.Status != status || p.Code == "" || p.RequestID != l.response.Header.Get("x-request-id") {
			t.Errorf("%+v", p)
		}
		if m, err := l.next(); !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %+v %v", m, err)
		}
	}
	viewer := b.signedIn("vic", "viewer")
	cookie := []string{"Authorization", "", "Cookie", "vega_session=" + viewer.jar["vega_session"]}
	l := b.listen("", cookie...)
	var seen fleetSeen
	l.await("fleet", &seen, nil)
	viewer.do("DELETE", "/session", "").want(204)
	ends(l, 401)

	var made struct{ ID, Secret string }
	b.call("POST", "/tokens", `{"name":"ci","role":"viewer","scopes":["fleet:read"]}`).want(201).into(&made)
	l = b.listen("", "Authorization", "Bearer "+made.Secret)
	l.await("fleet", &seen, nil)
	b.call("DELETE", "/tokens/"+made.ID, "").want(204)
	ends(l, 401)

	b.call("POST", "/tokens", `{"name":"narrow","role":"viewer","scopes":["usage:read"]}`).want(201).into(&made)
	b.call("GET", "/events", "", "Authorization", "Bearer "+made.Secret).want(403)
}

// 开着的流、断了又连的流都不算活动：没有人在用的会话照样到期。
func TestEvents_DoNotKeepAnIdleSessionAlive(t *testing.T) {
	s := openPostgres(t)
	var w watched
	quick := func(c *adminapi.Config, _ *adminapi.Deps) { c.Events.Recheck = 50 * time.Millisecond }
	b := onPostgres(t, s, quick, withIdentity(t, s, identity.Config{Idle: 2 * time.Second}), running(t, &w, nil, live.PublisherConfig{}))
	viewer := b.signedIn("vic", "viewer")
	cookie := []string{"Authorization", "", "Cookie", "vega_session=" + viewer.jar["vega_session"]}
	var p struct{ Status int }
	b.listen("", cookie...).await("end", &p, nil)
	if p.Status != 401 {
		t.Errorf("%+v", p)
	}
	viewer.login("vic", newPassword).want(201)
	req, err := http.NewRequestWithContext(t.Context(), "GET", b.url+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", "vega_session="+viewer.jar["vega_session"])
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == 401 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("connecting again and again keeps the session alive")
		}
	}
}

func TestEvents_AreLimitedAndEndAtOnceWhenTheReplicaStops(t *testing.T) {
	var w watched
	var stop context.CancelFunc
	b := newBench(t, newMemory(), running(t, &w, &stop, live.PublisherConfig{MaxStreams: 2}))
	one, two := b.listen(""), b.listen("")
	if r := b.call("GET", "/events", "").want(503); r.Header.Get("Retry-After") == "" {
		t.Errorf("%v", r.Header)
	}
	stop()
	for _, l := range []*listener{one, two} {
		var err error
		for err == nil {
			_, err = l.next()
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	b.call("GET", "/events", "").want(503)
}

// 一个人的会话与令牌合算；占满了自己的，别人照样看得见。
func TestEvents_AreLimitedForEachPerson(t *testing.T) {
	var w watched
	b := onPostgres(t, openPostgres(t), running(t, &w, nil, live.PublisherConfig{MaxStreamsEach: 2}))
	viewer, other := b.signedIn("vic", "viewer"), b.signedIn("ann", "viewer")
	cookie := func(w *browser) []string {
		return []string{"Authorization", "", "Cookie", "vega_session=" + w.jar["vega_session"]}
	}
	b.listen("", cookie(viewer)...)
	var made struct{ Secret string }
	viewer.do("POST", "/tokens", `{"name":"own","role":"viewer","scopes":["fleet:read"]}`).want(201).into(&made)
	b.listen("", "Authorization", "Bearer "+made.Secret)
	r := b.call("GET", "/events", "", cookie(viewer)...).want(429)
	if p := r.problem(); p.Code != "exhausted" || p.Reason != "too_many_streams" || !strings.Contains(p.Detail, "2 event streams") || r.Header.Get("Retry-After") == "" {
		t.Errorf("%+v %v", p, r.Header)
	}
	b.listen("", cookie(other)...)
	b.listen("")
}

// big 的每一份都有几兆。
func big(n int) []push.Node {
	nodes := make([]push.Node, 2000)
	for i := range nodes {
		nodes[i] = push.Node{ID: strings.Repeat("n", 1000), Connected: true, AppliedRevision: uint64(n)}
	}
	return nodes
}

func TestEvents_AClientThatDoesNotReadIsDroppedAndHoldsUpNobody(t *testing.T) {
	var w watched
	f := &troupe{}
	f.set(big(0)...)
	b := newBench(t, newMemory(), func(c *adminapi.Config, d *adminapi.Deps) {
		d.Fleet, c.Events.WriteTimeout = f, 200*time.Millisecond
	}, running(t, &w, nil, live.PublisherConfig{MaxStreams: 1}))
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /api/v1/events?topics=fleet HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 200" {
		t.Fatalf("%s %v", head, err)
	}
	// 只有一条的名额：它被断开，别人才进得来。
	deadline := time.Now().Add(20 * time.Second)
	for n := 1; ; n++ {
		f.set(big(n)...)
		sub, err := w.Subscribe("someone", []live.Topic{live.TopicFleet})
		if err == nil {
			sub.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("still connected")
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestAbout_SaysWhoThisIs(t *testing.T) {
	began := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	b := newBench(t, newMemory(), func(c *adminapi.Config, _ *adminapi.Deps) {
		c.About = adminapi.About{Version: "1.2.3", PublicAPIURL: "https://llm.example.com", Replica: "cp-1:9090", StartedAt: began}
	}, behindProxy(t))
	b.apply(document)
	var got map[string]any
	b.call("GET", "/about", "", from("203.0.113.5")...).want(200).into(&got)
	want := map[string]any{"version": "1.2.3", "public_api_url": "https://llm.example.com", "replica": "cp-1:9090", "started_at": "2026-11-23T01:02:03Z",
		"time_zone": "UTC", "currency": "USD", "revision": 1.0, "transport_secure": true}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %v, want %v", k, got[k], v)
		}
	}
}
