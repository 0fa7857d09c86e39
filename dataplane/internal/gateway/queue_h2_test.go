package gateway_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/httpapi"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// overHTTP2 使 n 的客户端从此走 HTTP/2：进程里的那样，在连接数上限之上，经 TLS 协商；plain 则是前面的代理会用的明文。
func overHTTP2(t *testing.T, n *node, plain bool) {
	t.Helper()
	var only http.Protocols
	only.SetHTTP2(!plain)
	only.SetUnencryptedHTTP2(plain)
	front := httptest.NewUnstartedServer(n.server.Handler)
	front.Config = httpapi.Server(n.server.Handler)
	front.Listener = httpapi.NewLimit(httpapi.LimitConfig{}, front.Listener)
	if plain {
		front.Config.Protocols = &only
		front.Start()
	} else {
		front.EnableHTTP2 = true
		front.StartTLS()
	}
	tr := front.Client().Transport.(*http.Transport)
	tr.Protocols, tr.DisableCompression = &only, true
	n.client, n.url = front.Client(), front.URL
	t.Cleanup(front.Close)
}

// overBoth 在两种 HTTP/2 上各跑一遍 f。
func overBoth(t *testing.T, f func(t *testing.T, b *busy), edit ...func(*configv1.Server)) {
	t.Helper()
	for name, plain := range map[string]bool{"TLS": false, "cleartext": true} {
		t.Run(name, func(t *testing.T) {
			b := occupied(t, fine, edit...)
			overHTTP2(t, b.node, plain)
			f(t, b)
		})
	}
}

// queueing 发出一个要看排队消息的流，读到第一行为止。
func (b *busy) queueing(ctx context.Context, t *testing.T, edit ...func(*http.Request)) (*http.Response, *bufio.Reader) {
	t.Helper()
	resp, err := b.request(ctx, http.MethodPost, "/v1/chat/completions", askStream, append(edit, header("X-Vega-Queue-Events", "1"))...)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(resp.Body)
	line, err := r.ReadString('\n')
	if err != nil || resp.ProtoMajor != 2 || resp.StatusCode != 200 || !strings.HasPrefix(line, ": vega-queue position=1") {
		t.Fatalf("HTTP/%d %d %q %v", resp.ProtoMajor, resp.StatusCode, line, err)
	}
	return resp, r
}

func TestQueueOverHTTP2_EventsComeWhileWaitingAndTheStreamFollows(t *testing.T) {
	overBoth(t, func(t *testing.T, b *busy) {
		resp, r := b.queueing(t.Context(), t) // 上游还被占着：这一行是当场送出来的
		defer resp.Body.Close()
		for begin, seen := time.Now(), 0; seen < 2; {
			line, err := r.ReadString('\n')
			if err != nil || time.Since(begin) > 5*time.Second {
				t.Fatalf("%q %v", line, err)
			}
			if strings.HasPrefix(line, ": vega-queue") {
				seen++
			}
		}
		b.free()
		rest, err := io.ReadAll(r)
		if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
			t.Fatalf("%q %v", rest, err)
		}
		want(t, <-b.first, 200, "")
		settle(t, b.node, b.up)
	})
}

func TestQueueOverHTTP2_HangingUpLeavesTheQueueAtOnce(t *testing.T) {
	overBoth(t, func(t *testing.T, b *busy) {
		ctx, hangUp := context.WithCancel(t.Context())
		defer hangUp()
		resp, _ := b.queueing(ctx, t)
		b.waiting(1)
		begin := time.Now()
		hangUp() // 只重置这一条流，连接还在
		b.waiting(0)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("left after %v", took)
		}
		resp.Body.Close()
		b.free()
		want(t, <-b.first, 200, "")
		settle(t, b.node, b.up)
		if n := b.up.Stats().Requests; n != 1 {
			t.Errorf("%d calls reached the upstream, want the first alone", n)
		}
	})
}

func TestQueueOverHTTP2_RefusalAfterThe200IsOneEventAndACleanEnd(t *testing.T) {
	overBoth(t, func(t *testing.T, b *busy) {
		resp, r := b.queueing(t.Context(), t, header("X-Vega-Queue-Timeout-Ms", "150"))
		defer resp.Body.Close()
		rest, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("the stream did not end cleanly: %v after %q", err, rest)
		}
		_, event, found := strings.Cut(string(rest), "data: ")
		if !found || (answer{body: strings.TrimSpace(event)}).code(t) != "queue_timeout" ||
			strings.Count(string(rest), "data:") != 1 || strings.Contains(string(rest), "[DONE]") {
			t.Fatalf("%q", rest)
		}
		b.logged(t, `"status":429,"outcome":"refused"`)
		b.free()
		want(t, <-b.first, 200, "")
		settle(t, b.node, b.up)
	})
}
