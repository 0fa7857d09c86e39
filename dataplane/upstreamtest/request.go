package upstreamtest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
)

// Request 是剧本看到的请求。
type Request struct {
	Seq           int64       // 本上游收到的第几个，从 1 起
	ID            string      // 收到的 x-request-id
	Method, Path  string      // 如 POST、/v1/chat/completions
	Model         string      // 去掉指令的上游模型名；没有则为空
	FullModel     string      // 原样的模型名
	Stream        bool        // "stream": true
	IncludeUsage  bool        // stream_options.include_usage 为 true
	StreamOptions bool        // 请求里有 stream_options
	Choices       int         // n；缺省 1，上限 16
	MaxTokens     int         // max_tokens 等；0 为没有给
	Authorization string      // 原样
	Header        http.Header // 只读
	Body          []byte      // 只在 Script 调用期间有效，过后归还缓冲池
	Default       Behavior    // 服务器的默认剧本；Script 以它为底可以只改几处

	modelQuery, promptQuery string
	promptBytes             int
	tools                   bool              // tools 是数组
	form                    map[string]string // multipart 的文字字段
	file                    *part             // multipart 的第一个文件
}

// part 是 multipart 里的一个文件；data 是复制品。
type part struct {
	field, filename string
	data            []byte
}

const maxChoices = 16

// readJSON 一遍扫过顶层的键，取出上游关心的几个；重复的键以后一个为准，同 encoding/json。
func (req *Request) readJSON(body []byte) {
	gjson.ParseBytes(body).ForEach(func(key, value gjson.Result) bool {
		switch key.String() {
		case "model":
			req.setModel(strings.Clone(value.String()))
		case "stream":
			req.Stream = value.Bool()
		case "stream_options":
			req.StreamOptions = value.Type != gjson.Null
			req.IncludeUsage = value.Get("include_usage").Bool()
		case "n":
			req.Choices = max(1, min(int(value.Int()), maxChoices))
		case "max_completion_tokens", "max_tokens", "max_output_tokens":
			req.MaxTokens = max(0, int(value.Int()))
		case "messages", "input", "prompt", "documents", "query":
			req.promptBytes += len(value.Raw)
		case "tools":
			req.tools = value.IsArray()
		}
		return true
	})
}

// readForm 读 multipart；返回的错误说明哪里不合规矩。
func (req *Request) readForm(contentType string, body []byte) error {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return err
	}
	reader := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	req.form = make(map[string]string)
	for {
		p, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		data, err := io.ReadAll(p)
		if err != nil {
			return err
		}
		req.promptBytes += len(data)
		if p.FileName() == "" {
			req.form[p.FormName()] = string(data)
		} else if req.file == nil {
			req.file = &part{field: p.FormName(), filename: p.FileName(), data: data}
		}
	}
	req.setModel(req.form["model"])
	return nil
}

func (req *Request) setModel(model string) {
	req.FullModel = model
	req.Model, req.modelQuery = splitModel(model)
}

func isMultipart(contentType string) bool {
	return strings.HasPrefix(strings.ToLower(contentType), "multipart/form-data")
}
