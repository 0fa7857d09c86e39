package upstreamtest

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/tidwall/gjson"
)

const (
	defaultDimensions = 16
	maxDimensions     = 4096
	maxInputs         = 2048
)

// embeddings 为每个输入造一个由其内容决定的单位化之前的向量；同样的输入得到同样的向量。
func embeddings(x *exchange) error {
	input := gjson.GetBytes(x.req.Body, "input")
	dims := int(gjson.GetBytes(x.req.Body, "dimensions").Int())
	if dims <= 0 || dims > maxDimensions {
		dims = defaultDimensions
	}
	base64Form := gjson.GetBytes(x.req.Body, "encoding_format").String() == "base64"
	usage, _ := count(x.req, &x.b, 0)
	usage.Completion, usage.Reasoning = 0, 0

	buf := append([]byte(nil), `{"object":"list","data":[`...)
	for i, text := range inputs(input) {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(buf, `{"object":"embedding","index":`...)
		buf = strconv.AppendInt(buf, int64(i), 10)
		buf = append(buf, `,"embedding":`...)
		buf = appendVector(buf, vector(text, dims), base64Form)
		buf = append(buf, '}')
	}
	buf = append(buf, `],"model":`...)
	buf = gjson.AppendJSONString(buf, x.model())
	buf, sent := usage.appendField(buf, x.b.Usage, Usage.appendInput)
	return x.whole(200, "application/json", append(buf, '}'), sent)
}

// inputs 把 input 的四种形状（字符串、字符串数组、记号数组、记号数组的数组）展成每项一个原文。
func inputs(input gjson.Result) []string {
	if !input.IsArray() {
		return []string{input.Raw}
	}
	if input.Get("0").Type == gjson.Number {
		return []string{input.Raw}
	}
	var texts []string
	input.ForEach(func(_, v gjson.Result) bool {
		texts = append(texts, v.Raw)
		return len(texts) < maxInputs
	})
	return texts
}

// vector 是以 FNV-1a 为种子的伪随机向量，分量在 [-1, 1)。
func vector(text string, dims int) []float32 {
	h := uint64(14695981039346656037)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	v := make([]float32, dims)
	for i := range v {
		h ^= h << 13
		h ^= h >> 7
		h ^= h << 17
		v[i] = float32(int64(h)>>40) / (1 << 23)
	}
	return v
}

func appendVector(buf []byte, v []float32, base64Form bool) []byte {
	if base64Form {
		raw := make([]byte, 0, 4*len(v))
		for _, f := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
		}
		buf = append(buf, '"')
		buf = base64.StdEncoding.AppendEncode(buf, raw)
		return append(buf, '"')
	}
	buf = append(buf, '[')
	for i, f := range v {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = strconv.AppendFloat(buf, float64(f), 'g', -1, 32)
	}
	return append(buf, ']')
}
