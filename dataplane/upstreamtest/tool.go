package upstreamtest

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// toolCall 是一次假的工具调用；args 是合乎参数模式的 JSON 文本。
type toolCall struct{ id, name, args string }

// pickTool 取请求里的第一个函数工具；没有、tool_choice 为 none 或最后一条消息已是工具的结果时为 nil（使调用方的循环能结束）。
// nested 是函数定义所在的键：chat 为 "function"，responses 为空（就在工具自身）。
func pickTool(req *Request, nested string) *toolCall {
	if !req.tools {
		return nil
	}
	body := req.Body
	tool := gjson.GetBytes(body, "tools.0")
	if !tool.Exists() || gjson.GetBytes(body, "tool_choice").String() == "none" || toolAnswered(body) {
		return nil
	}
	if nested != "" {
		tool = tool.Get(nested)
	}
	name := tool.Get("name").String()
	if name == "" {
		return nil
	}
	return &toolCall{name: name, args: arguments(tool.Get("parameters"))}
}

func toolAnswered(body []byte) bool {
	if last := lastOf(gjson.GetBytes(body, "messages")); last.Get("role").String() == "tool" {
		return true
	}
	return lastOf(gjson.GetBytes(body, "input")).Get("type").String() == "function_call_output"
}

func lastOf(list gjson.Result) (last gjson.Result) {
	if !list.IsArray() {
		return last
	}
	list.ForEach(func(_, v gjson.Result) bool {
		last = v
		return true
	})
	return last
}

// arguments 按 JSON Schema 的 properties 造一个对象，每个属性一个该类型的值。
func arguments(schema gjson.Result) string {
	var out strings.Builder
	out.WriteByte('{')
	first := true
	schema.Get("properties").ForEach(func(key, property gjson.Result) bool {
		if !first {
			out.WriteByte(',')
		}
		first = false
		out.Write(gjson.AppendJSONString(nil, key.String()))
		out.WriteByte(':')
		out.WriteString(example(property))
		return true
	})
	out.WriteByte('}')
	return out.String()
}

func example(property gjson.Result) string {
	if v := property.Get("enum.0"); v.Exists() {
		return v.Raw
	}
	switch property.Get("type").String() {
	case "number", "integer":
		return "7"
	case "boolean":
		return "true"
	case "array":
		return "[]"
	case "object":
		return arguments(property)
	}
	return `"杭州"`
}

// text 把参数切成至多 n 块。
func (t *toolCall) text(n int) *text {
	return newText(textKey{text: t.args, chunks: min(n, utf8.RuneCountInString(t.args))})
}

// appendHead 从 id 的值写到 arguments 的引号，其后接转义过的参数。
func (t *toolCall) appendHead(buf []byte) []byte {
	buf = append(buf, t.id...)
	buf = append(buf, `","type":"function","function":{"name":`...)
	buf = gjson.AppendJSONString(buf, t.name)
	return append(buf, `,"arguments":"`...)
}
