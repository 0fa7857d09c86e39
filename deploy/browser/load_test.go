package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
)

// load 是打到数据面上的对话，轮流经各个节点。
type load struct {
	Model string `json:"model"`
	Key   string `json:"key"`
	// Requests 是总数；0 是打到 ctx 结束。
	Requests    int      `json:"requests"`
	Concurrency int      `json:"concurrency"`
	Stream      bool     `json:"stream"`
	Prompt      string   `json:"prompt"`
	Nodes       []string `json:"nodes"` // 入口，不带 /v1
}

// outcome 是各状态码的个数；没有得到应答的记在 "error"。
type outcome map[string]int

// run 打完为止。
func (l load) run(ctx context.Context) outcome {
	var mu sync.Mutex
	got := outcome{}
	var sent atomic.Int64
	var wg sync.WaitGroup
	for range max(l.Concurrency, 1) {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := int(sent.Add(1))
				if l.Requests > 0 && n > l.Requests {
					return
				}
				status := l.one(ctx, l.Nodes[n%len(l.Nodes)])
				mu.Lock()
				got[status]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return got
}

// one 发一个请求，读完应答。
func (l load) one(ctx context.Context, node string) string {
	prompt := l.Prompt
	if prompt == "" {
		prompt = "hello"
	}
	body, err := json.Marshal(map[string]any{"model": l.Model, "stream": l.Stream, "messages": []any{map[string]string{"role": "user", "content": prompt}}})
	if err != nil {
		return "error"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, node+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return "error"
	}
	req.Header.Set("Authorization", "Bearer "+l.Key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "error"
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "error"
	}
	return strconv.Itoa(resp.StatusCode)
}

// background 是在后台打的那一份；同时至多一份。
type background struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan outcome
}

func (b *background) start(ctx context.Context, l load) {
	b.stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	ctx, b.cancel = context.WithCancel(ctx)
	done := make(chan outcome, 1)
	b.done = done
	go func() { done <- l.run(ctx) }()
}

// stop 停下它并给出结果；没有在打则为空。
func (b *background) stop() outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cancel == nil {
		return outcome{}
	}
	b.cancel()
	b.cancel = nil
	return <-b.done
}
