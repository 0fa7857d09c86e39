package dialect

import (
	"bytes"
	"mime"
	"strings"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// formKeys 是表单里网关要看的部分；其余的部分不看、不改。
var formKeys = [...]string{"model", "stream", "n", "user"}

// maxPartHeader 是一个部分的头的字节上限。
const maxPartHeader = 16 << 10

// PeekMultipart 扫描表单，找出 model（值的位置）、stream、n、user 各部分。
//
// 比 RFC 2046 严：行尾只认 CRLF，第一个分界线之前只许空行，结束线之后只许空白，分界线后面不许别的字节，头不许折行。
// 凡是两个解析器可能读得不一样的写法一律是 invalid_request；被看的部分重复、仅大小写不同、带文件名、带编码的也是。
func PeekMultipart(contentType string, body []byte, env *Envelope) error {
	*env = Envelope{Format: Multipart}
	boundary, err := boundaryOf(contentType)
	if err != nil {
		return err
	}
	f := form{body: body, env: env, delimiter: []byte("\r\n--" + boundary)}
	return f.parts()
}

func boundaryOf(contentType string) (string, error) {
	_, params, err := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	switch {
	case err != nil:
		return "", malformedForm("the Content-Type header cannot be parsed")
	case boundary == "" || len(boundary) > 70 || strings.Contains(strings.ToLower(contentType), "boundary*"):
		return "", malformedForm("the Content-Type header needs a boundary of 1 to 70 characters")
	}
	for i := range len(boundary) {
		if c := boundary[i]; c < 0x20 || c > 0x7e {
			return "", malformedForm("the boundary contains a character that is not allowed")
		}
	}
	if strings.HasSuffix(boundary, " ") {
		return "", malformedForm("the boundary must not end with a space")
	}
	return boundary, nil
}

func malformedForm(what string) *vegaerr.Error {
	return invalid("", "the multipart body is malformed: %s", what)
}

type form struct {
	body      []byte
	delimiter []byte // CRLF、两个连字符与分界串
	env       *Envelope
	seen      uint16
}

// parts 走过每个部分；分界线之后要么是 CRLF（下一个部分），要么是两个连字符（结束）。
func (f *form) parts() error {
	i := 0
	for bytes.HasPrefix(f.body[i:], []byte("\r\n")) {
		i += 2
	}
	if !bytes.HasPrefix(f.body[i:], f.delimiter[2:]) {
		return malformedForm("it does not start with the boundary")
	}
	i += len(f.delimiter) - 2
	for {
		switch rest := f.body[i:]; {
		case bytes.HasPrefix(rest, []byte("--")):
			if len(bytes.Trim(rest[2:], " \t\r\n")) > 0 {
				return malformedForm("there is data after the closing boundary")
			}
			return nil
		case !bytes.HasPrefix(rest, []byte("\r\n")):
			return malformedForm("a boundary is followed by unexpected bytes")
		}
		next, err := f.part(i)
		if err != nil {
			return err
		}
		i = next
	}
}

// part 看一个部分，i 在分界线末尾的 CRLF 上；返回下一条分界线之后的位置。
func (f *form) part(i int) (int, error) {
	head := f.body[i:]
	head = head[:min(len(head), maxPartHeader)]
	n := bytes.Index(head, []byte("\r\n\r\n"))
	if n < 0 {
		return 0, malformedForm("the header of a part does not end")
	}
	if bytes.Contains(head[:n], f.delimiter) {
		return 0, malformedForm("a part has no blank line after its header")
	}
	h, err := parsePartHeader(head[min(2, n):n])
	if err != nil {
		return 0, err
	}
	start := i + n + 4
	// 空的部分：值之前的空行就是分界线前的 CRLF。
	size := bytes.Index(f.body[start-2:], f.delimiter) - 2
	switch {
	case size == -2:
		return 0, malformedForm("a part does not end with a line break before its boundary")
	case size < 0:
		return 0, malformedForm("the closing boundary is missing")
	}
	if err := f.field(h, Span{start, start + size}); err != nil {
		return 0, err
	}
	return start + size + len(f.delimiter), nil
}

// field 收下被看的部分的值。
func (f *form) field(h partHeader, at Span) error {
	i, err := match([]byte(h.name), formKeys[:], "", &f.seen)
	if i < 0 {
		return err
	}
	name, value := formKeys[i], f.body[at.Start:at.End]
	if h.file || h.encoded {
		return invalid(name, "the form part %q must be a plain field, without a file name or a transfer encoding", name)
	}
	switch name {
	case "model":
		if len(value) == 0 {
			return invalid(name, "model must not be empty; name a model or leave the part out")
		}
		f.env.Model, f.env.ModelSpan = value, at
	case "stream":
		f.env.Stream, err = formBool(value)
	case "n":
		v, ok := parseInt(value)
		if !ok || len(value) == 0 {
			return invalid(name, "n must be an integer")
		}
		f.env.N = Int{Value: v, Set: true}
	case "user":
		f.env.User = value
	}
	return err
}

func formBool(value []byte) (bool, error) {
	switch strings.ToLower(string(value)) {
	case "true", "1", "on", "yes":
		return true, nil
	case "false", "0", "off", "no", "":
		return false, nil
	}
	return false, invalid("stream", "stream must be true or false")
}
