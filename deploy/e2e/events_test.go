package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

// happening 是事件流里的一个事件与它到的时刻。
type happening struct {
	topic, data string
	at          time.Time
}

// watch 开一条事件流；流结束时通道关闭。
func watch(t *testing.T, root, token, topics string) <-chan happening {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, root+"/api/v1/events?topics="+topics, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	out := make(chan happening, 1000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(out)
		read(resp.Body, out)
	}()
	t.Cleanup(func() { cancel(); resp.Body.Close(); <-ended })
	return out
}

func read(body io.Reader, out chan<- happening) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	var h happening
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			h.topic = value
		case "data":
			h.data, h.at = value, time.Now()
			out <- h
		}
	}
}

// until 读到 topic 的一份使 ok 成立为止，解进 into，给出它到的时刻。
func until(t *testing.T, events <-chan happening, patience time.Duration, topic string, into any, ok func() bool) time.Time {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case <-late:
			t.Fatalf("no such %s within %s; the last is %+v", topic, patience, into)
		case h, open := <-events:
			if !open {
				t.Fatal("the stream ended")
			}
			if h.topic != topic {
				continue
			}
			if err := json.Unmarshal([]byte(h.data), into); err != nil {
				t.Fatalf("%v: %s", err, h.data)
			}
			if ok() {
				return h.at
			}
		}
	}
}

type fleetSeen struct {
	HeadRevision uint64 `json:"head_revision"`
	Nodes        []struct {
		Connected       bool
		AppliedRevision uint64 `json:"applied_revision"`
	}
}

// on 说连着的 n 个节点都在 revision 上。
func (f fleetSeen) on(revision uint64, n int) bool {
	for _, node := range f.Nodes {
		if !node.Connected || node.AppliedRevision != revision {
			return false
		}
	}
	return f.HeadRevision == revision && len(f.Nodes) == n
}

type overviewSeen struct {
	Counts struct {
		NodesConnected int  `json:"nodes_connected"`
		RequestsEver   bool `json:"requests_ever"`
	}
	Rates struct {
		WindowSeconds float64 `json:"window_seconds"`
		Requests      float64
		PromptTokens  float64 `json:"prompt_tokens"`
	}
	FirstByte struct{ P95 *float64 } `json:"first_byte_ms"`
	Series    []struct{ Requests, Tokens int64 }
	Top       struct {
		Apps, Servers, Models []struct {
			Name     string
			Requests int64
		}
	}
	Problems []struct{ Kind, Node string }
}

// TestEvents_ASaveIsSeenSpreadingToEveryNode 从写下到流里看见所有节点都换上：两个节点，写一个副本。
func TestEvents_ASaveIsSeenSpreadingToEveryNode(t *testing.T) {
	r := start(t, stack.Options{Nodes: 2})
	events := watch(t, r.Admin.URL, r.Admin.Token, "revision,fleet")
	var fleet fleetSeen
	until(t, events, 10*time.Second, "fleet", &fleet, func() bool { return len(fleet.Nodes) == 2 && fleet.on(fleet.HeadRevision, 2) })
	var worst time.Duration
	for i := range 5 {
		begin := time.Now()
		done := r.apply(doc{"apps": list{doc{"name": fmt.Sprintf("watched-%d", i)}}})
		seen := until(t, events, 2*time.Second, "fleet", &fleet, func() bool { return fleet.on(done.Revision, 2) })
		worst = max(worst, seen.Sub(begin))
	}
	fmt.Printf("figures: save_to_event saves=5 worst_ms=%d\n", worst.Milliseconds())
}

// TestOverview_CountsWhatIsServedAndSaysWhatIsWrong 发请求，看速率、最忙的与首字节；杀掉数据面，看它说出来。
func TestOverview_CountsWhatIsServedAndSaysWhatIsWrong(t *testing.T) {
	r := start(t, stack.Options{Nodes: 1})
	events := watch(t, r.Admin.URL, r.Admin.Token, "overview")
	var o overviewSeen
	until(t, events, 10*time.Second, "overview", &o, func() bool { return o.Counts.NodesConnected == 1 && o.Rates.WindowSeconds > 0 })
	if o.Rates.Requests != 0 || len(o.Series) != 60 {
		t.Errorf("before any request: %+v", o.Rates)
	}
	for range 30 {
		if a := r.chat(0, "chat"); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	until(t, events, 15*time.Second, "overview", &o, func() bool { return o.Rates.Requests > 0 && o.Rates.PromptTokens > 0 })
	until(t, events, 15*time.Second, "overview", &o, func() bool {
		var requests, tokens int64
		for _, p := range o.Series {
			requests, tokens = requests+p.Requests, tokens+p.Tokens
		}
		return requests == 30 && tokens > 0 && o.Counts.RequestsEver && o.FirstByte.P95 != nil && len(o.Top.Apps) == 1 && len(o.Top.Models) == 1 &&
			len(o.Top.Servers) == 1 && o.Top.Apps[0].Name == "team-a" && o.Top.Servers[0].Name == "up" && o.Top.Models[0].Name == "chat" && o.Top.Models[0].Requests == 30
	})
	if err := r.Admin.Call(t.Context(), http.MethodGet, "/overview", nil, &o); err != nil || o.Top.Apps[0].Requests != 30 {
		t.Errorf("GET /overview: %v %+v", err, o.Top)
	}
	r.Dataplanes[0].Kill()
	until(t, events, 30*time.Second, "overview", &o, func() bool {
		return len(o.Problems) > 0 && o.Problems[0].Kind == "no_nodes" && o.Counts.NodesConnected == 0
	})
}

// TestEvents_EndWhenTheControlPlaneStops 开着流停控制面：流当即结束，停不因此变慢。
func TestEvents_EndWhenTheControlPlaneStops(t *testing.T) {
	r := start(t, stack.Options{Nodes: 0})
	events := watch(t, r.Admin.URL, r.Admin.Token, "revision,fleet,overview,queues")
	var fleet fleetSeen
	until(t, events, 10*time.Second, "fleet", &fleet, func() bool { return true })
	begin := time.Now()
	if err := r.Controlplane.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	late := time.After(10 * time.Second)
	for open := true; open; {
		select {
		case _, open = <-events:
		case <-late:
			t.Fatal("the stream did not end")
		}
	}
	fmt.Printf("figures: stop_with_streams ms=%d\n", time.Since(begin).Milliseconds())
}

// adminLive 走完此刻的几个操作；流只看开头，它自己不结束。
func adminLive(c *contract, _ *rig) {
	c.send(sent{method: "GET", path: "/about", want: 200})
	c.send(sent{method: "GET", path: "/overview", want: 200})
	c.send(sent{method: "GET", path: "/events?topics=weather", invalid: true, want: 400})
	root := strings.TrimSuffix(c.root, "/api/v1")
	for topic, shape := range map[string]string{"revision": "Revision", "fleet": "Fleet", "overview": "Overview"} {
		var value any
		until(c.t, watch(c.t, root, c.token, topic), 10*time.Second, topic, &value, func() bool { return true })
		if err := c.spec.Components.Schemas[shape].Value.VisitJSON(value); err != nil {
			c.t.Errorf("%s: %v", topic, err)
		}
	}
	var queues []any
	until(c.t, watch(c.t, root, c.token, "queues"), 10*time.Second, "queues", &queues, func() bool { return true })
	c.seen["streamEvents"][200] = true
}
