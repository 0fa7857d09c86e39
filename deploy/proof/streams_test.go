package proof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

// TestStreams 经一个数据面同时开着许多条流：没有错误，每一条都完整。
func TestStreams(t *testing.T) {
	s, key := start(t, 1, list{model("slow", "s?latency=0&chunks=20&chunk_delay=1s")}, "VEGA_FAKE_LEDGER=off")
	for _, n := range []int{1000, size(0, 9800)} {
		if n > 0 {
			manyStreams(t, s, key, n)
		}
	}
}

func manyStreams(t *testing.T, s *stack.Stack, key string, n int) {
	pid := s.Dataplanes[0].PID()
	before, err := stack.RSS(pid)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n, DisableCompression: true}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var failures []error
	var ttft []time.Duration
	var wg sync.WaitGroup
	ramp := time.Duration(max(n/1500, 1)) * time.Second
	began := time.Now()
	for i := range n {
		time.Sleep(time.Until(began.Add(ramp * time.Duration(i) / time.Duration(n))))
		wg.Go(func() {
			first, err := stream(t.Context(), client, s.APIURL(0), key, 20)
			mu.Lock()
			defer mu.Unlock()
			if ttft = append(ttft, first); err != nil {
				failures = append(failures, err)
			}
		})
	}
	time.Sleep(3 * time.Second)
	open, _ := stack.RSS(pid)
	wg.Wait()
	if len(failures) > 0 {
		t.Errorf("%d of %d streams failed, the first: %v", len(failures), n, failures[0])
	}
	slices.Sort(ttft)
	fmt.Fprintf(os.Stdout, "figures: streams n=%d errors=%d ttft_p50=%s ttft_p99=%s rss_before=%dMB rss_open=%dMB per_stream=%.1fKB\n", n, len(failures),
		ttft[n/2].Round(100*time.Microsecond), ttft[n*99/100].Round(100*time.Microsecond), before>>20, open>>20, float64(open-before)/float64(n)/1024)
}

// stream 读完一条流并数它的块；少一块、没有 [DONE]、传输异常都是错误。
func stream(ctx context.Context, client *http.Client, url, key string, chunks int) (firstByte time.Duration, err error) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/chat/completions",
		strings.NewReader(`{"model":"slow","stream":true,"messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(resp.Body)
		return 0, fmt.Errorf("status %d: %s", resp.StatusCode, raw)
	}
	var whole bytes.Buffer
	buf := make([]byte, 2048)
	for {
		n, err := resp.Body.Read(buf)
		if firstByte == 0 && n > 0 {
			firstByte = time.Since(began)
		}
		whole.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return firstByte, fmt.Errorf("after %d bytes: %w", whole.Len(), err)
		}
	}
	if got := bytes.Count(whole.Bytes(), []byte(`"content":"`)); got < chunks || !bytes.HasSuffix(whole.Bytes(), []byte("data: [DONE]\n\n")) {
		return firstByte, fmt.Errorf("%d chunks of %d, %d bytes", got, chunks, whole.Len())
	}
	return firstByte, nil
}
