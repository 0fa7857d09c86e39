package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Admin 经管理 API 说话。
type Admin struct{ URL, Token string }

// StatusError 是管理 API 的一个非 2xx 回答。
type StatusError struct {
	Status int
	Body   string
}

// Error 实现 error。
func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Body) }

// Applied 是 PUT /config 的回答里常用的部分。
type Applied struct {
	Revision uint64            `json:"revision"`
	Changes  []json.RawMessage `json:"changes"`
	Keys     []struct{ App, Name, Secret string }
	Applied  []string `json:"applied"`
	Pending  []string `json:"pending"`
	Rejected []struct{ Node, Error string }
}

// Apply 应用一份声明（能编成 JSON 的值，或现成的 JSON 字节）并等所有节点换上。
func (a *Admin) Apply(ctx context.Context, doc any, query ...string) (Applied, error) {
	var out Applied
	return out, a.Call(ctx, http.MethodPut, "/config?"+strings.Join(append(query, "wait=true"), "&"), doc, &out)
}

// Call 发一次请求；path 在 /api/v1 之下；body 与 out 可为 nil。
func (a *Admin) Call(ctx context.Context, method, path string, body, out any) error {
	var payload io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		payload = bytes.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return fmt.Errorf("encode body: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.URL+"/api/v1"+path, payload)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+a.Token)
	if payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %w", method, path, &StatusError{Status: resp.StatusCode, Body: string(raw)})
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%s %s: read answer: %w", method, path, err)
	}
	return nil
}

// Escape 把一个名字放进路径的一段。
func Escape(name string) string { return url.PathEscape(name) }
