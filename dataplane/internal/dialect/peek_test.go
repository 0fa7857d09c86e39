package dialect

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

func reasonOf(t *testing.T, err error) (reason, param, message string) {
	t.Helper()
	if err == nil {
		return "", "", ""
	}
	var e *vegaerr.Error
	if !errors.As(err, &e) {
		t.Fatalf("not a vegaerr.Error: %v", err)
	}
	if e.Code != vegaerr.Invalid {
		t.Fatalf("code %v, want invalid", e.Code)
	}
	return e.Reason, e.Param, e.Message
}

func TestPeek_FindsTheKeysItActsOn(t *testing.T) {
	body := []byte(` {"messages":[{"role":"user","model":"inner","content":"\"model\":\"x\""}], "model" : "gpt-4o" ,"stream":true,
	"max_tokens":10,"max_completion_tokens":20,"max_output_tokens":30,"n":2,"user":"u-1","stream_options":{"include_usage":true}} ` + "\n")
	var env Envelope
	if err := Peek("application/json", body, &env); err != nil {
		t.Fatal(err)
	}
	if string(env.Model) != "gpt-4o" || string(body[env.ModelSpan.Start:env.ModelSpan.End]) != `"gpt-4o"` {
		t.Errorf("model %q at %v", env.Model, env.ModelSpan)
	}
	if !env.Stream || !env.WantsUsage || string(env.User) != "u-1" || env.Format != JSON {
		t.Errorf("got %+v", env)
	}
	if env.MaxTokens != (Int{10, true}) || env.MaxCompletionTokens != (Int{20, true}) || env.MaxOutputTokens != (Int{30, true}) || env.N != (Int{2, true}) {
		t.Errorf("got %+v", env)
	}
	if limit, ok := env.OutputLimit(); limit != 20 || !ok {
		t.Errorf("OutputLimit %d %v", limit, ok)
	}
}

func TestPeek_EscapedKeyIsTheSameKey(t *testing.T) {
	var env Envelope
	if err := Peek("", []byte(`{"\u006dodel":"a\u002fb"}`), &env); err != nil {
		t.Fatal(err)
	}
	if string(env.Model) != "a/b" {
		t.Fatalf("model %q", env.Model)
	}
}

func TestPeek_ReusedEnvelopeKeepsNothing(t *testing.T) {
	var env Envelope
	if err := Peek("", []byte(`{"model":"a","stream":true,"n":3,"user":"x"}`), &env); err != nil {
		t.Fatal(err)
	}
	if err := Peek("", []byte(`{}`), &env); err != nil {
		t.Fatal(err)
	}
	if env.HasModel() || env.Stream || env.N.Set || env.User != nil {
		t.Fatalf("got %+v", env)
	}
}

func TestPeek_RefusesWhatIsNotOneObject(t *testing.T) {
	deep := `{"a":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`
	for _, body := range []string{
		``, ` `, `[]`, `"x"`, `null`, `1`, `{`, `{}x`, `{}{}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{a:1}`, `{'a':1}`,
		`{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":-}`, `{"a":1e}`, `{"a":+1}`, `{"a":NaN}`, `{"a":tru}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":"\u12"}`,
		"{\"a\":\"\n\"}", "{\"a\":\"\x1f\"}", "{\"a\":\"1234567\x1f\"}", "{\"a\":\"\xff\"}", "{\"\xff\":1}", "\xef\xbb\xbf{}", `{"a":"x`, `{"a":"x\`, `{"a":[1}`, `{"a":{"b":1]}`, `{"a":[1,]}`, deep,
	} {
		var env Envelope
		if reason, _, msg := reasonOf(t, Peek("application/json", []byte(body), &env)); reason != "invalid_json" || msg == "" {
			t.Errorf("%.60q: reason %q %q", body, reason, msg)
		}
	}
}

func TestPeek_NamesTheByteOfTheFault(t *testing.T) {
	var env Envelope
	_, _, msg := reasonOf(t, Peek("", []byte(`{"a":1,"b":tru}`), &env))
	if !strings.Contains(msg, "byte 11") {
		t.Fatalf("message %q", msg)
	}
}

func TestPeek_AcceptsTheDeepestAllowed(t *testing.T) {
	var env Envelope
	n := MaxDepth - 1
	if err := Peek("", []byte(`{"a":`+strings.Repeat("[", n)+strings.Repeat("]", n)+`}`), &env); err != nil {
		t.Fatal(err)
	}
}

func TestPeek_RefusesDuplicatesAndCaseVariants(t *testing.T) {
	for _, c := range []struct{ body, param string }{
		{`{"model":"a","model":"b"}`, "model"},
		{`{"model":"a","\u006dodel":"b"}`, "model"},
		{`{"Model":"a"}`, "model"},
		{`{"\u004dodel":"a"}`, "model"},
		{`{"model":"a","MODEL":"b"}`, "model"},
		{`{"ſtream":true}`, "stream"},
		{`{"max_toKens":1}`, "max_tokens"},
		{`{"uſer":"a"}`, "user"},
		{`{"N":1}`, "n"},
		{`{"stream":true,"stream":true}`, "stream"},
		{`{"stream_options":{},"stream_options":{}}`, "stream_options"},
		{`{"stream_options":{"include_usage":true,"include_usage":false}}`, "stream_options.include_usage"},
		{`{"stream_options":{"Include_Usage":true}}`, "stream_options.include_usage"},
		{`{"max_completion_tokens":1,"max_completion_tokens":1}`, "max_completion_tokens"},
		{`{"Max_Output_Tokens":1}`, "max_output_tokens"},
	} {
		var env Envelope
		reason, param, msg := reasonOf(t, Peek("", []byte(c.body), &env))
		if reason != "invalid_request" || param != c.param || !strings.Contains(msg, c.param) {
			t.Errorf("%s: %q %q %q", c.body, reason, param, msg)
		}
	}
}

func TestPeek_OtherKeysMayRepeat(t *testing.T) {
	var env Envelope
	if err := Peek("", []byte(`{"x":1,"x":2,"metadata":{"model":1,"model":2,"Model":3}}`), &env); err != nil {
		t.Fatal(err)
	}
}

func TestPeek_RefusesWrongTypes(t *testing.T) {
	for _, c := range []struct{ body, param string }{
		{`{"model":1}`, "model"}, {`{"model":null}`, "model"}, {`{"model":""}`, "model"}, {`{"model":["a"]}`, "model"},
		{`{"stream":"true"}`, "stream"}, {`{"stream":1}`, "stream"}, {`{"stream":{}}`, "stream"},
		{`{"max_tokens":1.5}`, "max_tokens"}, {`{"max_tokens":"1"}`, "max_tokens"}, {`{"max_tokens":1e3}`, "max_tokens"}, {`{"max_tokens":true}`, "max_tokens"},
		{`{"n":[]}`, "n"}, {`{"user":1}`, "user"}, {`{"stream_options":[]}`, "stream_options"}, {`{"stream_options":"x"}`, "stream_options"},
		{`{"stream_options":{"include_usage":1}}`, "stream_options.include_usage"},
	} {
		var env Envelope
		if reason, param, _ := reasonOf(t, Peek("", []byte(c.body), &env)); reason != "invalid_request" || param != c.param {
			t.Errorf("%s: %q %q", c.body, reason, param)
		}
	}
}

func TestPeek_NullIsAbsentAndIntegersSaturate(t *testing.T) {
	var env Envelope
	body := `{"stream":null,"max_tokens":null,"n":null,"user":null,"stream_options":null,"max_completion_tokens":99999999999999999999999,"max_output_tokens":-1}`
	if err := Peek("", []byte(body), &env); err != nil {
		t.Fatal(err)
	}
	if env.MaxTokens.Set || env.N.Set || env.User != nil || env.Stream || env.MaxCompletionTokens.Value != 1<<63-1 || env.MaxOutputTokens.Value != -1 {
		t.Fatalf("got %+v", env)
	}
	if err := Peek("", []byte(`{"max_tokens":100.0,"n":-99999999999999999999}`), &env); err != nil || env.MaxTokens.Value != 100 || env.N.Value != -1<<63 {
		t.Fatalf("%v %+v", err, env)
	}
	if _, ok := env.OutputLimit(); !ok {
		t.Fatal("max_tokens is a limit")
	}
}

func TestPeek_JudgesTheContentType(t *testing.T) {
	var env Envelope
	for ct, want := range map[string]string{
		"": "", "application/json": "", "application/json; charset=utf-8": "", "application/x-www-form-urlencoded": "", "garbage;;;": "",
		"application/json; charset=utf-16": "invalid_request", "multipart/form-data; boundary=x": "invalid_request",
	} {
		if reason, _, _ := reasonOf(t, Peek(ct, []byte(`{}`), &env)); reason != want {
			t.Errorf("%q: %q, want %q", ct, reason, want)
		}
	}
}

func TestPeek_DoesNotAllocate(t *testing.T) {
	for _, body := range [][]byte{smallBody(), largeBody()} {
		var env Envelope
		if n := testing.AllocsPerRun(100, func() {
			if err := Peek("application/json", body, &env); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%d bytes: %v allocations", len(body), n)
		}
	}
}

func TestInspect_ChoosesByEndpointAndType(t *testing.T) {
	form := "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n"
	for _, c := range []struct {
		method, path, ct, body string
		format                 Format
		reason                 string
	}{
		{"POST", "/v1/chat/completions", "", `{"model":"a"}`, JSON, ""},
		{"POST", "/v1/chat/completions", "multipart/form-data; boundary=b", form, 0, "invalid_request"},
		{"POST", "/v1/chat/completions", "application/json", ``, 0, "invalid_json"},
		{"POST", "/v1/audio/transcriptions", "multipart/form-data; boundary=b", form, Multipart, ""},
		{"POST", "/v1/audio/speech", "application/json", `{"model":"tts"}`, JSON, ""},
		{"POST", "/v1/audio/speech", "application/json", `[]`, 0, "invalid_json"},
		{"POST", "/v1/audio/raw", "audio/wav", "RIFF\x00\xff", Opaque, ""},
		{"POST", "/v1/audio/raw", "text/plain", ` {"model":"hidden"}`, JSON, ""},
		{"POST", "/v1/images/edits", "application/x-www-form-urlencoded", `model=hidden`, 0, "invalid_request"},
		{"POST", "/v1/responses/r1/cancel", "application/json", ``, Opaque, ""},
		{"GET", "/v1/files/f1/content", "", ``, Opaque, ""},
	} {
		ep, ok := Lookup(c.method, c.path)
		if !ok {
			t.Fatalf("%s %s not found", c.method, c.path)
		}
		var env Envelope
		reason, _, _ := reasonOf(t, ep.Inspect(c.method, c.ct, []byte(c.body), &env))
		if reason != c.reason || reason == "" && env.Format != c.format {
			t.Errorf("%s %q: format %d reason %q", c.path, c.ct, env.Format, reason)
		}
	}
}

func smallBody() []byte {
	return []byte(`{"model":"gpt-4o","messages":[{"role":"system","content":"You are terse."},{"role":"user","content":"Say hello in three languages, please."}],"temperature":0.2,"max_tokens":64,"stream":true,"user":"u-17"}`)
}

func largeBody() []byte {
	var b strings.Builder
	b.WriteString(`{"model":"gpt-4o","messages":[`)
	for i := range 40 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"role":"user","content":"%s \n \"quoted\" 中文与 emoji 🙂 %d"}`, strings.Repeat("lorem ipsum dolor sit amet ", 19), i)
	}
	b.WriteString(`],"stream":true,"stream_options":{"include_obfuscation":false},"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"number","minimum":-1.5e3}}}}}]}`)
	return []byte(b.String())
}

func BenchmarkPeek(b *testing.B) {
	for _, body := range [][]byte{smallBody(), largeBody()} {
		b.Run(fmt.Sprint(len(body)), func(b *testing.B) {
			var env Envelope
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := Peek("application/json", body, &env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
