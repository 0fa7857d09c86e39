package tokens

import (
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

const (
	// PerAttachment 是一个附件（图片、声音、文件）按多少 token 估：它的字节数什么也不说明。
	PerAttachment = 1024
	// maxPrompt 是一次计数至多看多少字节的输入；再多的按比例推算。
	maxPrompt = 64 << 10

	// OpenAI 的聊天格式在每条消息外另加三个 token 与角色，末尾再加三个引出回答；有名字的另加一个。
	perMessage = 4
	perName    = 1
	perReply   = 3
)

// Prompt 数请求体的输入 token；body 是 JSON。没有文字输入的端点为 0。
func (c *Counter) Prompt(model string, kind dialect.Kind, body []byte) int64 {
	enc, native := c.encodingOf(model)
	t := tally{enc: enc}
	root := gjson.ParseBytes(body)
	switch kind {
	case dialect.Chat:
		t.chat(root)
	case dialect.Responses:
		t.responses(root)
	case dialect.Completions:
		t.input(root.Get("prompt"), inputDepth)
	case dialect.Embeddings, dialect.Moderations:
		t.input(root.Get("input"), inputDepth)
	case dialect.Rerank:
		t.input(root.Get("query"), inputDepth)
		t.input(root.Get("documents"), inputDepth)
	}
	n := t.texts()
	if !native {
		n *= c.correction(model, t.seen)
	}
	return round(n) + t.fixed
}

// tally 是一次计数的账。
type tally struct {
	enc     encoding
	seen    count
	skipped int64 // 超出上限没有数的字节
	fixed   int64 // 不是文字的：消息的外壳、附件、已经是 token 的
}

func (t *tally) texts() float64 {
	if t.seen.size == 0 {
		return 0
	}
	return float64(t.seen.tokens) * (1 + float64(t.skipped)/float64(t.seen.size))
}

func (t *tally) text(s string) {
	if left := int(maxPrompt - t.seen.size); len(s) > left {
		for left > 0 && !utf8.RuneStart(s[left]) {
			left--
		}
		t.skipped += int64(len(s) - left)
		s = s[:left]
	}
	if s != "" {
		t.seen.add(t.enc, s)
		t.seen.size += int64(len(s))
	}
}

func (t *tally) chat(root gjson.Result) {
	root.Get("messages").ForEach(func(_, m gjson.Result) bool {
		t.message(m)
		return true
	})
	t.tools(root)
	t.fixed += perReply
}

func (t *tally) responses(root gjson.Result) {
	if s := root.Get("instructions"); s.Str != "" {
		t.fixed += perMessage
		t.text(s.Str)
	}
	if input := root.Get("input"); input.IsArray() {
		input.ForEach(func(_, m gjson.Result) bool {
			t.message(m)
			return true
		})
	} else {
		t.fixed += perMessage
		t.text(input.Str)
	}
	t.tools(root)
	t.fixed += perReply
}

// message 数一条消息；Responses 里的工具往来也照此数。
func (t *tally) message(m gjson.Result) {
	t.fixed += perMessage
	if name := m.Get("name").Str; name != "" {
		t.fixed += perName
		t.text(name)
	}
	t.parts(m.Get("content"))
	m.Get("tool_calls").ForEach(func(_, call gjson.Result) bool {
		t.text(call.Get("function.name").Str)
		t.text(call.Get("function.arguments").Str)
		return true
	})
	t.text(m.Get("arguments").Str)
	t.text(m.Get("output").Str)
}

// parts 数一条消息的内容：一段文字，或几个部分。
func (t *tally) parts(content gjson.Result) {
	if !content.IsArray() {
		t.text(content.Str)
		return
	}
	content.ForEach(func(_, part gjson.Result) bool {
		switch part.Get("type").Str {
		case "text", "input_text", "output_text":
			t.text(part.Get("text").Str)
		case "refusal":
			t.text(part.Get("refusal").Str)
		default:
			t.fixed += PerAttachment
		}
		return true
	})
}

// tools 数工具的说明：模型看见的是它的另一种写法，长短相近。
func (t *tally) tools(root gjson.Result) {
	t.text(root.Get("tools").Raw)
	t.text(root.Get("functions").Raw)
}

// inputDepth 是输入里数组至多套几层：几组 token。再深的不是哪个接口的写法；每进一层都要把里面的再扫一遍。
const inputDepth = 2

// input 数一段文字、几段文字，或者已经是 token 的数组；depth 是还可以进几层。
func (t *tally) input(in gjson.Result, depth int) {
	switch {
	case in.IsArray() && depth == 0:
	case in.IsArray():
		in.ForEach(func(_, v gjson.Result) bool {
			if v.Type == gjson.Number {
				t.fixed++
			} else {
				t.input(v, depth-1)
			}
			return true
		})
	case in.IsObject():
		if in.Get("image_url").Exists() {
			t.fixed += PerAttachment
		}
		t.text(in.Get("text").Str)
	default:
		t.text(in.Str)
	}
}
