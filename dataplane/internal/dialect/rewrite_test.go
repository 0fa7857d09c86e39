package dialect

import (
	"fmt"
	"testing"
)

func TestRewrite_ChangesOnlyWhatItMust(t *testing.T) {
	for _, c := range []struct {
		name, body, model string
		usage             bool
		want              string
	}{
		{"model only", ` { "a":9007199254740993 , "model" : "x", "s":"\ud800" }` + "\n", "y", false, ` { "a":9007199254740993 , "model" : "y", "s":"\ud800" }` + "\n"},
		{"no model named", `{"a":1}`, "y", false, `{"a":1}`},
		{"option absent", `{"model":"x","stream":true }`, "y", true, `{"model":"y","stream":true,"stream_options":{"include_usage":true} }`},
		{"empty body", `{ }`, "y", true, `{"stream_options":{"include_usage":true} }`},
		{"model last", `{"stream":true,"model":"x"}`, "y", true, `{"stream":true,"model":"y","stream_options":{"include_usage":true}}`},
		{"options empty, before model", `{"stream_options":{ },"model":"x"}`, "y", true, `{"stream_options":{"include_usage":true },"model":"y"}`},
		{"options with another key", `{"stream_options":{"include_obfuscation":false }}`, "", true, `{"stream_options":{"include_obfuscation":false,"include_usage":true }}`},
		{"options null", `{"model":"x","stream_options":null}`, "", true, `{"model":"x","stream_options":{"include_usage":true}}`},
		{"usage false", `{"stream_options":{"include_usage":false,"b":1}}`, "", true, `{"stream_options":{"include_usage":true,"b":1}}`},
		{"usage null", `{"stream_options":{"include_usage": null}}`, "", true, `{"stream_options":{"include_usage": true}}`},
		{"usage already asked for", `{"stream_options":{"include_usage":true}}`, "", true, `{"stream_options":{"include_usage":true}}`},
		{"escaped usage key", `{"stream_options":{"include\u005fusage":false}}`, "", true, `{"stream_options":{"include\u005fusage":true}}`},
		{"model needs escaping", `{"model":"x"}`, "a\"b\\c\x01\u4e2d", false, `{"model":"a\"b\\c\u0001中"}`},
	} {
		var env Envelope
		if err := Peek("", []byte(c.body), &env); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := string(Rewrite(nil, []byte(c.body), &env, c.model, c.usage)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func BenchmarkRewrite(b *testing.B) {
	for _, body := range [][]byte{smallBody(), largeBody()} {
		b.Run(fmt.Sprint(len(body)), func(b *testing.B) {
			var env Envelope
			if err := Peek("", body, &env); err != nil {
				b.Fatal(err)
			}
			var dst []byte
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				dst = Rewrite(dst[:0], body, &env, "gpt-4o-2024-08-06", true)
			}
		})
	}
}
