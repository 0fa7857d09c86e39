package dialect

import (
	"bytes"
	"encoding/json"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Inspect 按端点、方法与 Content-Type 选 Peek、PeekMultipart 或不看（Opaque）；网关只需调它。
//
// JSONBody 的端点只收 JSON 对象。AnyBody 的端点里，表单按表单看，JSON 按 JSON 看，以左花括号开头的不论怎么标都按 JSON 看：
// 有的上游不管 Content-Type，不看就等于让模型名绕过准许名单。urlencoded 的表单没有端点需要，出于同样的理由拒绝。
func (e *Endpoint) Inspect(method, contentType string, body []byte, env *Envelope) error {
	if e.Body == JSONBody {
		return Peek(contentType, body, env)
	}
	*env = Envelope{}
	if e.Body == NoBody || len(body) == 0 || method == http.MethodGet || method == http.MethodHead {
		return nil
	}
	media := mediaType(contentType)
	switch {
	case strings.HasPrefix(media, "multipart/"):
		return PeekMultipart(contentType, body, env)
	case media == "application/json" || strings.HasSuffix(media, "+json") || startsObject(body):
		return Peek(contentType, body, env)
	case media == "application/x-www-form-urlencoded":
		return invalid("", "Content-Type application/x-www-form-urlencoded is not supported; send application/json or multipart/form-data")
	}
	return nil
}

// mediaType 取出 Content-Type 的类型部分，小写；参数写坏了也不影响。
func mediaType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

func startsObject(body []byte) bool {
	s := scanner{b: body}
	i := s.space(0)
	return i < len(body) && body[i] == '{'
}

// Peek 一遍扫描 JSON 请求体：它须是一个合法 UTF-8 的 JSON 对象，嵌套不超过 MaxDepth 层。
// 看得见的顶层键（解转义之后比较）是 model、stream、stream_options、max_tokens、max_completion_tokens、
// max_output_tokens、n、user，值与位置写进 env。除了要解转义的字符串，不分配。
//
// 错误：文法不对是 invalid_json，带字节偏移；看得见的键重复、仅大小写不同（含 Unicode 折叠）、类型不对是 invalid_request。
// null 等于没写，唯独 model 不许是 null 或空串。整数超出 int64 的按边界算。
func Peek(contentType string, body []byte, env *Envelope) error {
	*env = Envelope{Format: JSON}
	if err := checkJSONType(contentType); err != nil {
		return err
	}
	s := scanner{b: body, utf8: true}
	i := s.space(0)
	if i >= len(body) {
		return vegaerr.New(vegaerr.Invalid, "invalid_json", "the request body is empty; send one JSON object")
	}
	if body[i] != '{' {
		return vegaerr.New(vegaerr.Invalid, "invalid_json", "the request body must be one JSON object, but starts otherwise at byte %d", i)
	}
	p := peeker{s: &s, env: env}
	return p.object(i)
}

// checkJSONType 挡住声明成别的字符集或表单的体；没写或写得随意的类型照 JSON 看。
func checkJSONType(contentType string) error {
	if contentType == "" || contentType == "application/json" {
		return nil
	}
	if strings.HasPrefix(mediaType(contentType), "multipart/") {
		return invalid("", "this endpoint takes a JSON body; send Content-Type: application/json instead of a form")
	}
	if _, params, err := mime.ParseMediaType(contentType); err == nil {
		if cs := params["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") && !strings.EqualFold(cs, "utf8") && !strings.EqualFold(cs, "us-ascii") {
			return invalid("", "charset %q is not supported; send the body in UTF-8", cs)
		}
	}
	return nil
}

func invalid(param, format string, args ...any) *vegaerr.Error {
	e := vegaerr.New(vegaerr.Invalid, "invalid_request", format, args...)
	e.Param = param
	return e
}

// actedKeys 是网关要看的顶层键；下标就是 peeker.seen 里的位。
var actedKeys = [...]string{"model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "max_output_tokens", "n", "user"}

type peeker struct {
	s    *scanner
	env  *Envelope
	seen uint16
}

func (p *peeker) object(start int) error {
	m := p.s.open(start, 1)
	for {
		mem, ok := m.next()
		if !ok {
			break
		}
		if err := p.member(mem); err != nil {
			return err
		}
	}
	if m.end < 0 {
		return p.malformed()
	}
	if end := p.s.space(m.end); end < len(p.s.b) {
		p.s.fail(end, "unexpected data after the JSON object")
		return p.malformed()
	}
	p.env.bodyEnd, p.env.bodyAny = m.last, m.any
	return nil
}

func (p *peeker) malformed() error {
	return vegaerr.New(vegaerr.Invalid, "invalid_json", "the request body is not valid JSON: %s at byte %d", p.s.what, p.s.at)
}

// foldGrowth 是折叠变体比原名最多长几个字节：s 的变体多一个，k 的多两个，每个名字里合起来不超过四个。
const foldGrowth = 4

// match 找出键对应的名字的下标；没有则 -1。仅大小写不同的、第二次出现的，是错误。
// 折叠用 Unicode 的规则，因为有的解析器也这样折叠（如长 s 与开尔文符号）。
func match(key []byte, names []string, prefix string, seen *uint16) (int, error) {
	name := key
	if bytes.IndexByte(key, '\\') >= 0 {
		name = unescape(key)
	}
	if len(name) == 0 {
		return -1, nil
	}
	for i, want := range names {
		if name[0] < utf8.RuneSelf && name[0]|0x20 != want[0] {
			continue
		}
		if string(name) == want {
			if *seen&(1<<i) != 0 {
				return -1, invalid(prefix+want, "%q appears more than once in the request body; send it once", prefix+want)
			}
			*seen |= 1 << i
			return i, nil
		}
		if d := len(name) - len(want); d >= 0 && d <= foldGrowth && strings.EqualFold(string(name), want) {
			return -1, invalid(prefix+want, "%q differs from %q only in letter case; write it exactly as %q", name, prefix+want, want)
		}
	}
	return -1, nil
}

func (p *peeker) member(mem member) error {
	i, err := match(mem.key, actedKeys[:], "", &p.seen)
	if i < 0 {
		return err
	}
	raw := p.s.b[mem.val.Start:mem.val.End]
	switch name := actedKeys[i]; name {
	case "model":
		p.env.ModelSpan = mem.val
		p.env.Model, err = modelOf(raw)
	case "stream":
		p.env.Stream, err = boolOf(name, raw)
	case "stream_options":
		err = p.options(mem.val)
	case "max_tokens":
		p.env.MaxTokens, err = intOf(name, raw)
	case "max_completion_tokens":
		p.env.MaxCompletionTokens, err = intOf(name, raw)
	case "max_output_tokens":
		p.env.MaxOutputTokens, err = intOf(name, raw)
	case "n":
		p.env.N, err = intOf(name, raw)
	case "user":
		p.env.User, err = stringOf(name, raw)
	}
	return err
}

var optionKeys = [...]string{"include_usage"}

// options 看 stream_options 的里面；值已经过文法检查。
func (p *peeker) options(val Span) error {
	p.env.options = val
	raw := p.s.b[val.Start:val.End]
	if raw[0] == 'n' {
		return nil
	}
	if raw[0] != '{' {
		return invalid("stream_options", "stream_options must be an object")
	}
	p.env.optionsObj = true
	var seen uint16
	m := p.s.open(val.Start, 2)
	for {
		mem, ok := m.next()
		if !ok {
			break
		}
		i, err := match(mem.key, optionKeys[:], "stream_options.", &seen)
		if err != nil {
			return err
		}
		if i < 0 {
			continue
		}
		p.env.usage = mem.val
		if p.env.WantsUsage, err = boolOf("stream_options.include_usage", p.s.b[mem.val.Start:mem.val.End]); err != nil {
			return err
		}
	}
	p.env.optionsEnd, p.env.optionsAny = m.last, m.any
	return nil
}

func modelOf(raw []byte) ([]byte, error) {
	if raw[0] != '"' {
		return nil, invalid("model", "model must be a string")
	}
	if len(raw) == 2 {
		return nil, invalid("model", "model must not be empty; name a model or leave the key out")
	}
	return text(raw), nil
}

func stringOf(name string, raw []byte) ([]byte, error) {
	if raw[0] == 'n' {
		return nil, nil
	}
	if raw[0] != '"' {
		return nil, invalid(name, "%s must be a string", name)
	}
	return text(raw), nil
}

func boolOf(name string, raw []byte) (bool, error) {
	switch raw[0] {
	case 't':
		return true, nil
	case 'f', 'n':
		return false, nil
	}
	return false, invalid(name, "%s must be true or false", name)
}

func intOf(name string, raw []byte) (Int, error) {
	if raw[0] == 'n' {
		return Int{}, nil
	}
	if raw[0] != '-' && !isDigit(raw[0]) {
		return Int{}, invalid(name, "%s must be an integer", name)
	}
	digits, frac, _ := bytes.Cut(raw, []byte{'.'})
	for _, c := range frac {
		if c != '0' {
			return Int{}, invalid(name, "%s must be an integer", name)
		}
	}
	v, ok := parseInt(digits)
	if !ok {
		return Int{}, invalid(name, "%s must be an integer", name)
	}
	return Int{Value: v, Set: true}, nil
}

// maxIntDigits 是 int64 最长的写法，含负号。
const maxIntDigits = len("-9223372036854775808")

// parseInt 读十进制整数，超出 int64 的取边界；含别的字符（指数）时 ok 为 false。
func parseInt(digits []byte) (int64, bool) {
	for _, c := range digits {
		if c != '-' && !isDigit(c) {
			return 0, false
		}
	}
	if len(digits) > maxIntDigits {
		if digits[0] == '-' {
			return math.MinInt64, true
		}
		return math.MaxInt64, true
	}
	v, _ := strconv.ParseInt(string(digits), 10, 64)
	return v, true
}

// text 取出字符串值；没有转义时指进请求体。
func text(raw []byte) []byte {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') >= 0 {
		return unescape(inner)
	}
	return inner
}

// unescape 解开不含引号的字符串原文；落单的代理变成 U+FFFD。原文已经过文法检查。
func unescape(inner []byte) []byte {
	quoted := make([]byte, 0, len(inner)+2)
	quoted = append(append(append(quoted, '"'), inner...), '"')
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return inner
	}
	return []byte(s)
}
