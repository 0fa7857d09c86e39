package journal

import (
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// maxText 是记录里一段文本的最大字节数；名字至多 256，余下是客户端自报的请求号。
const maxText = 256

// kept 是内存里留的那一份：文本与数字都收得下，与 r 不共用什么会变的东西。
func kept(r *usagev1.Request) *usagev1.Request {
	r = proto.CloneOf(r)
	cleanRequest(r)
	boundNumbers(r)
	r.Unjournalled = true
	return r
}

func cleanRequest(r *usagev1.Request) {
	for _, s := range []*string{
		&r.Id, &r.KeyId, &r.App, &r.Model, &r.ServedModel, &r.Endpoint, &r.ClientRequestId,
	} {
		*s = clean(*s)
	}
	// 客户端自报的号常是头部里的一小段；不另存一份，就把整个头部拖在环里。
	r.ClientRequestId = strings.Clone(r.ClientRequestId)
	for _, a := range r.Attempts {
		a.Server, a.UpstreamModel, a.ServedModel = clean(a.Server), clean(a.UpstreamModel), clean(a.ServedModel)
	}
}

// clean 给出 s 的至多 maxText 字节的合法 UTF-8；本来就合格的原样返回，不分配。
func clean(s string) string {
	if len(s) > maxText {
		cut := maxText
		for cut > maxText-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = strings.Clone(s[:cut]) // 不拖住长的那一段
	}
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "?")
}
