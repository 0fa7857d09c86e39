package meter

import (
	"github.com/tidwall/gjson"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

// JSON 从非流式应答里取用量；一个数也没有时 found 为 false。body 不必是对象，读不懂的等于没有。
func JSON(kind dialect.Kind, body []byte) (u Usage, found bool) {
	if !dialect.ValidObject(body) {
		return u, false
	}
	return bodyUsage(kind, body)
}

// usagePlaces 是 usage 对象可能的位置：通行的、事件里的 response、Groq 的、开头就报一个占位数的 message。
var usagePlaces = [...]string{"usage", "response.usage", "x_groq.usage", "message.usage"}

// rerankPlaces 是 Cohere 一系的重排把用量放的地方。
var rerankPlaces = [...]string{"meta.tokens", "meta.billed_units"}

// bodyUsage 取用量；body 已知是合法的对象。
func bodyUsage(kind dialect.Kind, body []byte) (u Usage, found bool) {
	for _, place := range usagePlaces {
		if r := gjson.Get(text(body), place); r.IsObject() {
			if u = usageOf(kind, r); u.Any() {
				return u, true
			}
		}
	}
	if kind != dialect.Rerank {
		return u, false
	}
	for _, place := range rerankPlaces {
		if r := gjson.Get(text(body), place); r.IsObject() {
			if u = usageOf(kind, r); u.Any() {
				return u, true
			}
		}
	}
	return u, false
}

// CheckObject 说 body 非空且恰好是一个 JSON 对象；非流式的 200 在送出应答头之前用它检查。
func CheckObject(body []byte) bool { return dialect.ValidObject(body) }
