package dialect

import (
	"net/http"
	"slices"
	"strings"
)

// Kind 是端点的种类，计量按它挑选用量字段。
type Kind uint8

const (
	Chat Kind = iota + 1
	Completions
	Embeddings
	Responses
	Images
	Audio
	Moderations
	Rerank
	Files
	Models
)

// BodyKind 说请求体怎么看。
type BodyKind uint8

const (
	NoBody   BodyKind = iota // 没有请求体
	JSONBody                 // 必须是一个 JSON 对象，不论 Content-Type 怎么写
	AnyBody                  // JSON、表单或二进制，看 Content-Type
)

// StreamKind 说 text/event-stream 的应答怎么计量。
type StreamKind uint8

const (
	// Untyped 表示不认识事件：只透传，只数事件，干净的结束就算完整。
	Untyped StreamKind = iota
	// Chunks 是聊天式的 data: 块：choices、finish_reason、最后的 [DONE]。
	Chunks
	// Typed 是带 type 的事件：response.completed、transcript.text.done 等等。
	Typed
)

// Endpoint 是一个公开端点的全部性质，只是数据。
type Endpoint struct {
	Name        string     // 稳定的名字，如 "chat.completions"，进日志与指标
	Kind        Kind       // 用量字段属于哪一种
	Methods     []string   // 允许的方法
	Path        string     // 形如 "/v1/images/*"；以 /* 结尾的匹配一段或多段
	Body        BodyKind   // 请求体怎么看
	Stream      StreamKind // SSE 应答怎么计量
	CheckObject bool       // 非流式的 200 必须恰好是一个 JSON 对象
	InjectUsage bool       // 流式请求可以加上 stream_options.include_usage
	Local       bool       // 由网关自己回答，不去上游
}

var (
	post    = []string{http.MethodPost}
	get     = []string{http.MethodGet}
	getPost = []string{http.MethodGet, http.MethodPost}
	anyVerb = []string{http.MethodGet, http.MethodPost, http.MethodDelete}
)

// endpoints 的次序就是匹配的次序：写死的路径在通配之前。
var endpoints = [...]Endpoint{
	{Name: "chat.completions", Kind: Chat, Methods: post, Path: "/v1/chat/completions", Body: JSONBody, Stream: Chunks, CheckObject: true, InjectUsage: true},
	{Name: "completions", Kind: Completions, Methods: post, Path: "/v1/completions", Body: JSONBody, Stream: Chunks, CheckObject: true, InjectUsage: true},
	{Name: "embeddings", Kind: Embeddings, Methods: post, Path: "/v1/embeddings", Body: JSONBody, CheckObject: true},
	{Name: "models", Kind: Models, Methods: get, Path: "/v1/models", Local: true},
	{Name: "models.item", Kind: Models, Methods: get, Path: "/v1/models/*", Local: true},
	{Name: "responses", Kind: Responses, Methods: post, Path: "/v1/responses", Body: JSONBody, Stream: Typed},
	{Name: "responses.item", Kind: Responses, Methods: anyVerb, Path: "/v1/responses/*", Body: AnyBody, Stream: Typed},
	{Name: "images", Kind: Images, Methods: anyVerb, Path: "/v1/images/*", Body: AnyBody, Stream: Typed},
	{Name: "audio", Kind: Audio, Methods: anyVerb, Path: "/v1/audio/*", Body: AnyBody, Stream: Typed},
	{Name: "moderations", Kind: Moderations, Methods: post, Path: "/v1/moderations", Body: JSONBody},
	{Name: "rerank", Kind: Rerank, Methods: post, Path: "/v1/rerank", Body: JSONBody},
	{Name: "files", Kind: Files, Methods: getPost, Path: "/v1/files", Body: AnyBody},
	{Name: "files.item", Kind: Files, Methods: anyVerb, Path: "/v1/files/*", Body: AnyBody},
}

// Endpoints 给出整张表的副本，次序即匹配的次序；路由与文档由它生成。
func Endpoints() []Endpoint { return slices.Clone(endpoints[:]) }

// Lookup 按方法与转义后的路径（r.URL.EscapedPath()）找端点；路径或方法不在表里时 ok 为 false。
// 它不检查通配的部分是否安全，那是 Remainder 的事。返回的指针指进只读的表。
func Lookup(method, escapedPath string) (ep *Endpoint, ok bool) {
	for i := range endpoints {
		e := &endpoints[i]
		if e.matches(escapedPath) && slices.Contains(e.Methods, method) {
			return e, true
		}
	}
	return nil, false
}

func (e *Endpoint) matches(path string) bool {
	prefix, wild := strings.CutSuffix(e.Path, "*")
	if !wild {
		return path == e.Path
	}
	return len(path) > len(prefix) && strings.HasPrefix(path, prefix)
}
