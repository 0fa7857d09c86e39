package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
)

// TestQueue 在两个数据面与一个由测试放行的上游上，看排队的客户端与运维看得见的一切。
// 每个情形有自己的 server、模型与应用，互不相干。
func TestQueue(t *testing.T) {
	q := &queueRig{rig: start(t, stack.Options{Nodes: 2}), keys: map[string]string{}}
	for _, c := range []struct {
		name string // 空白之前的词也是 server、模型与应用的名字
		run  func(*testing.T, *line)
	}{
		{"headers say how long and where", queueHeaders}, {"buckets are shown", queueBuckets}, {"events while waiting", queueEvents},
		{"refusals after the head are events", queueEventsRefused}, {"timeouts may be shortened, never lengthened", queueTimeout},
		{"raising a limit admits at once, lowering cancels nothing", queueLive}, {"operators see who waits", queueSeen},
		{"pauses are fleet-wide", queuePause}, {"applications have limits of their own", queueApp}, {"full queues answer at once", queueFull},
		{"nobody waits where nobody may", queueNobody}, {"hanging up leaves the queue", queueHangup}, {"names are resolved again after a wait", queueRenewed},
		{"metrics tell of every request once", queueMetrics}, {"words about the queue are checked", queueWords}, {"classes may be lowered, never raised", queueClasses},
	} {
		t.Run(c.name, func(t *testing.T) {
			q.rig.t = t
			name, _, _ := strings.Cut(c.name, " ")
			c.run(t, q.line(t, name))
		})
	}
	q.rig.t = t
	q.clean()
}

// clean 要求什么也没有留下：没有人在等，没有许可在外面，各处的账对得上。
func (q *queueRig) clean() {
	q.t.Helper()
	for _, series := range []string{"vega_requests_waiting", "vega_permits_out", "vega_admission_leaked_permits"} {
		eventually(q.t, 3*time.Second, series+" is 0 on every node", func() bool { return q.metric(series) == 0 })
	}
}

// metric 是各数据面上以 series（名字，可以带着整组标签）开头的各行之和；一行也没有为 -1。
func (q *queueRig) metric(series string) float64 {
	q.t.Helper()
	sum, found := 0.0, false
	for i := range q.Dataplanes {
		for line := range strings.Lines(get(q.t, q.OpsURL(i)+"/metrics").body) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			if name != series && !strings.HasPrefix(name, series+"{") {
				continue
			}
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				q.t.Fatal(err)
			}
			sum, found = sum+v, true
		}
	}
	if !found {
		return -1
	}
	return sum
}

type queueRig struct {
	*rig
	keys  map[string]string
	https bool // 数据面的公开监听用 TLS
}

// base 是第 i 个数据面的入口。
func (q *queueRig) base(i int) string {
	if q.https {
		return "https" + strings.TrimPrefix(q.APIURL(i), "http")
	}
	return q.APIURL(i)
}

// line 是一个情形的 server（名额 1 个）、模型与应用，三者同名；上游每收到一个 free 才放行一个。
type line struct {
	*queueRig
	name   string
	up     *upstreamtest.Server
	free   chan struct{}
	server doc
}

func (q *queueRig) line(t *testing.T, name string) *line {
	t.Helper()
	l := &line{queueRig: q, name: name, free: make(chan struct{})}
	l.up = upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{HoldHead: l.free}})
	l.server = server(name, l.up)
	l.server["limits"] = doc{"max_concurrency": 1}
	q.apply(doc{"servers": list{l.server}, "models": list{model(name, name, "m")}})
	l.app(name, nil)
	return l
}

// app 应用一个应用；limits 为 nil 即没有自己的限额。
func (l *line) app(name string, limits doc) {
	l.t.Helper()
	d := doc{"name": name, "keys": list{doc{"name": "k"}}}
	if limits != nil {
		d["limits"] = limits
	}
	for _, k := range l.apply(doc{"apps": list{d}}).Keys {
		l.keys[k.App] = k.Secret
	}
}

// set 改这个 server 的声明并等所有节点换上。
func (l *line) set(key string, value any) {
	l.t.Helper()
	l.server[key] = value
	l.apply(doc{"servers": list{l.server}})
}

// everywhere 等至此的每一处改动都到了所有节点。
func (l *line) everywhere() {
	l.t.Helper()
	l.apply(doc{"models": list{model("late", "up", fmt.Sprint("m", time.Now().UnixNano()))}})
}

// ask 是一个请求；零值经节点 0、以与情形同名的应用、不带额外的头。
type ask struct {
	node   int
	app    string
	stream bool
	header map[string]string
	client *http.Client
}

// call 是一个已经发出的请求：head 是应答头到达之后，或出错。
type call struct {
	resp   *http.Response
	err    error
	headed chan struct{}
	began  time.Time
	took   time.Duration // 到应答头为止
	hangUp context.CancelFunc
}

// send 发出请求，不等应答。
func (l *line) send(a ask) *call {
	l.t.Helper()
	if a.app == "" {
		a.app = l.name
	}
	if a.client == nil {
		a.client = http.DefaultClient
	}
	ctx, cancel := context.WithCancel(l.t.Context())
	body := fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":"hi"}]}`, l.name, a.stream)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.base(a.node)+"/chat/completions", strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+l.keys[a.app])
	req.Header.Set("Content-Type", "application/json")
	for k, v := range a.header {
		req.Header.Set(k, v)
	}
	c := &call{headed: make(chan struct{}), began: time.Now(), hangUp: cancel}
	go func() {
		defer close(c.headed)
		c.resp, c.err = a.client.Do(req)
		c.took = time.Since(c.began)
	}()
	l.t.Cleanup(func() {
		cancel()
		<-c.headed
		if c.err == nil {
			c.resp.Body.Close()
		}
	})
	return c
}

// get 等应答并读完。
func (l *line) get(c *call) answer {
	l.t.Helper()
	select {
	case <-c.headed:
	case <-time.After(20 * time.Second):
		l.t.Fatal("no answer in 20 s")
	}
	if c.err != nil {
		l.t.Fatal(c.err)
	}
	return answerOf(l.t, c.resp)
}

// occupy 占满这个 server：发一个请求并等它到了上游。
func (l *line) occupy(a ask) *call {
	l.t.Helper()
	c := l.send(a)
	eventually(l.t, 5*time.Second, "one request at the upstream", func() bool { return l.up.InFlight() == 1 })
	return c
}

// behind 发一个要排队的请求，等运维看得见它在等。
func (l *line) behind(a ask) *call {
	l.t.Helper()
	before := l.waiting()
	c := l.send(a)
	eventually(l.t, 5*time.Second, "one more waiting", func() bool { return l.waiting() == before+1 })
	return c
}

// queue 是 GET /queues 里的一行。
type queue struct {
	Server string
	Limits struct {
		MaxConcurrency int64 `json:"max_concurrency"`
	}
	InFlight int64 `json:"in_flight"`
	Waiting  int64
	ByApp    []struct {
		App     string
		Waiting int64
	} `json:"waiting_by_app"`
	EstimatedWaitMS *int64 `json:"estimated_wait_ms"`
	Regime          string
	Paused          []struct {
		UpstreamModel string    `json:"upstream_model"`
		Until         time.Time `json:"until"`
	}
	Leader struct {
		Address string
		Term    uint64
	}
}

func (l *line) queue() queue {
	l.t.Helper()
	var all []queue
	if err := l.Admin.Call(l.t.Context(), http.MethodGet, "/queues", nil, &all); err != nil {
		l.t.Fatal(err)
	}
	for _, q := range all {
		if q.Server == l.name {
			return q
		}
	}
	return queue{}
}

func (l *line) waiting() int64 { return l.queue().Waiting }

// release 放行 n 个上游请求。
func (l *line) release(n int) {
	l.t.Helper()
	for range n {
		select {
		case l.free <- struct{}{}:
		case <-time.After(10 * time.Second):
			l.t.Fatal("nothing at the upstream to release")
		}
	}
}

// within 要求到应答头为止的时长在两者之间。
func (c *call) within(t *testing.T, least, most time.Duration) {
	t.Helper()
	if c.took < least || c.took > most {
		t.Errorf("answered after %s, want between %s and %s", c.took, least, most)
	}
}

// number 是一个应答头里的数；没有或不是数为 -1。
func (a answer) number(header string) int {
	n, err := strconv.Atoi(a.header.Get(header))
	if err != nil {
		return -1
	}
	return n
}

// refused 要求是 429、这个 code，并带着两个 Retry-After。
func (a answer) refused(t *testing.T, code string) {
	t.Helper()
	if a.status != http.StatusTooManyRequests || a.code() != code {
		t.Errorf("%d %s, want 429 %s", a.status, a.body, code)
	}
	if s, ms := a.number("Retry-After"), a.number("Retry-After-Ms"); s < 1 || ms < 1 || ms > s*1000 {
		t.Errorf("Retry-After %q, retry-after-ms %q", a.header.Get("Retry-After"), a.header.Get("Retry-After-Ms"))
	}
}
