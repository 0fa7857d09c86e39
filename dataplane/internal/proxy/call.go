package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
)

// Source 是内存里的请求体。Transport 可能在应答到达之后还在读它，所以借出的每一份都要数。
type Source interface {
	Bytes() []byte
	Retain()
	Release()
}

// Call 是要送出的一次调用。
type Call struct {
	Server    *state.Server
	Method    string
	Path      string // 转义形式，接在 base_url 之后，如 "/chat/completions"
	RawQuery  string
	Header    http.Header // 已过滤的客户端头；归 proxy 所有，会被加上服务器自己的头
	Body      Source      // nil 即没有体
	RequestID string      // 上游看见的 x-request-id，形如 "<id>-<n>"
	// StartBy 是请求的首个字节至迟何时写出；到那时还没有连接就不写，算 Late 失败，拨着的连接留给后来的。零值即不管。
	StartBy time.Time
}

func (c *Call) hasBody() bool { return c.Body != nil && len(c.Body.Bytes()) > 0 }

// newRequest 造出 Transport 不会自己重放的请求：
// GET 带一个空而非 NoBody 的体，Idempotency-Key 用小写的键——两者都会让 Transport 以为重放无害，
// 而它的重放用的是同一个编号，上游的账本就会比我们多一笔。什么都没写出去时的换连接仍由它做。
func newRequest(ctx context.Context, c *Call, room *requestRoom) *http.Request {
	r := &http.Request{
		Method: c.Method, URL: target(c), Header: c.Header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	addHeaders(c, &room.values)
	switch {
	case c.hasBody():
		src := c.Body
		r.ContentLength = int64(len(src.Bytes()))
		r.Body = lend(src, &room.body)
		r.GetBody = func() (io.ReadCloser, error) { return lend(src, new(bytes.Reader)), nil }
	case c.Method == http.MethodGet:
		r.Body = io.NopCloser(strings.NewReader(""))
	default:
		r.Body = http.NoBody
	}
	return r.WithContext(ctx)
}

// addHeaders 加上服务器自己的头；values 是应答里现成的地方，免得各分配一个切片。
func addHeaders(c *Call, values *[2]string) {
	h := c.Header
	for name, values := range c.Server.Headers {
		h[name] = values
	}
	if c.Server.APIKey != "" {
		values[0] = "Bearer " + c.Server.APIKey
		h["Authorization"] = values[0:1:1]
	}
	values[1] = c.RequestID
	h["X-Request-Id"] = values[1:2:2]
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // 客户端没有报家门，我们也不替它报
	}
	for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v, ok := h[name]; ok {
			delete(h, name)
			h[strings.ToLower(name)] = v
		}
	}
}

// target 把客户端路径的其余部分原样接在 base_url 之后。
func target(c *Call) *url.URL {
	u := *c.Server.BaseURL
	base := strings.TrimSuffix(u.Path, "/")
	u.RawQuery, u.Fragment, u.RawFragment, u.User = c.RawQuery, "", "", nil
	u.Path = base + c.Path
	if plainPath(u.Path) && u.RawPath == "" {
		return &u
	}
	u.RawPath = strings.TrimSuffix(c.Server.BaseURL.EscapedPath(), "/") + c.Path
	if plain, err := url.PathUnescape(c.Path); err == nil {
		u.Path = base + plain
	}
	return &u
}

// plainPath 说路径里只有转不转义都一样的字符。
func plainPath(path string) bool {
	for i := range len(path) {
		c := path[i]
		if (c|0x20)-'a' > 25 && c-'0' > 9 && strings.IndexByte("/-._~", c) < 0 {
			return false
		}
	}
	return true
}

// lend 借出一份请求体。用标准库的内存读者，Transport 才肯把头与体放进同一次写；
// 代价是看不见 Close，所以在 WroteRequest 里归还（见 Answer.wroteRequest）。
func lend(src Source, r *bytes.Reader) io.ReadCloser {
	src.Retain()
	r.Reset(src.Bytes())
	return io.NopCloser(r)
}

// requestRoom 是请求要的几样小东西的地方，随 Answer 一起分配。
type requestRoom struct {
	values [2]string // 凭证与请求号两个头的值
	body   bytes.Reader
}
