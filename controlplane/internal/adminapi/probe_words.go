package adminapi

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxWords 是给人看的上游原话的长度，字节。
	maxWords = 400
	// longestSecret 是凭证的上限，字节：没有读完的正文去掉这么多的尾巴，免得切断的凭证认不出来。
	longestSecret = 8 << 10
	// leastSecretHeader 是多长的头才当作可能的凭证；更短的遮掉只会让原话读不懂。
	leastSecretHeader = 8
	redacted          = "…"
)

// words 是上游原话的开头：一行，不含凭证。OpenAI 形式的错误取其中的 message，别的取正文。
func (p *prober) words(r reply) string {
	body := r.body
	if r.cut {
		body = body[:max(0, len(body)-longestSecret)]
	}
	text := oneLine(p.redact(message(body)))
	text = p.redact(text)
	if len(text) <= maxWords {
		return text
	}
	text = text[:maxWords]
	for len(text) > 0 && !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + "…"
}

func message(body []byte) string {
	var wrapped struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &wrapped) == nil && len(wrapped.Error) > 0 {
		var detail struct {
			Message string `json:"message"`
		}
		var text string
		switch {
		case json.Unmarshal(wrapped.Error, &detail) == nil && detail.Message != "":
			return detail.Message
		case json.Unmarshal(wrapped.Error, &text) == nil && text != "":
			return text
		}
	}
	return string(body)
}

// oneLine 把空白与控制字符并成单个空格，不是 UTF-8 的字节换成替代字符。
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
}

// redact 遮去这个 server 的秘密：凭证、自己的头的值与代理口令。
func (p *prober) redact(text string) string {
	for _, s := range p.secrets() {
		text = strings.ReplaceAll(text, s, redacted)
	}
	return text
}

func (p *prober) secrets() []string {
	var list []string
	if !p.secret.Empty() {
		list = append(list, p.secret.Reveal())
	}
	for _, v := range p.server.Headers {
		if len(v) >= leastSecretHeader {
			list = append(list, v)
		}
		if _, token, ok := strings.Cut(v, " "); ok && len(token) >= leastSecretHeader { // “Bearer xyz” 里的 xyz
			list = append(list, token)
		}
	}
	if u, err := url.Parse(p.server.ProxyURL); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok && password != "" {
			list = append(list, password)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) }) // 长的先遮：短的可能是它的一段
	return list
}
