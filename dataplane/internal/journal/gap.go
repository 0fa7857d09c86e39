package journal

import (
	"google.golang.org/protobuf/proto"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// encodeGap 写 Record 的 gap 字段，不带序号。只在丢了东西时用，不必手写。
func encodeGap(g *usagev1.Gap) []byte {
	b, err := proto.Marshal(&usagev1.Record{Body: &usagev1.Record_Gap{Gap: g}})
	if err != nil {
		panic(err) // 全是数与我们自己的句子，编得出来
	}
	return b
}

// contribution 是一条记录的贡献。
func contribution(body []byte) (Totals, bool) {
	var r usagev1.Record
	if proto.Unmarshal(body, &r) != nil {
		return Totals{}, false
	}
	return TotalsOf(&r), true
}
