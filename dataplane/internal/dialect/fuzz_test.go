package dialect

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// reference 用 encoding/json 读顶层：是不是一个对象，每个键（解转义）与值的原文。
func reference(body []byte) (keys []string, values []json.RawMessage, ok bool) {
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, nil, false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return nil, nil, false
	}
	for d.More() {
		tok, err := d.Token()
		key, isString := tok.(string)
		var v json.RawMessage
		if err != nil || !isString || d.Decode(&v) != nil {
			return nil, nil, false
		}
		keys, values = append(keys, key), append(values, v)
	}
	return keys, values, true
}

func ambiguous(keys []string, names []string) bool {
	for _, name := range names {
		n := 0
		for _, k := range keys {
			if strings.EqualFold(k, name) {
				n++
				if k != name {
					return true
				}
			}
		}
		if n > 1 {
			return true
		}
	}
	return false
}

func depthOf(body []byte) int {
	depth, most, inString := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && (c == '{' || c == '['):
			depth++
			most = max(most, depth)
		case !inString && (c == '}' || c == ']'):
			depth--
		}
	}
	return most
}

func FuzzPeek_AgreesWithEncodingJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"model":"a","stream":true,"stream_options":{"include_usage":false},"n":1}`, `{"model":"a","model":"b"}`, `{"Model":"a"}`,
		`{"\u006dodel":"\ud83d\ude00\ud800"}`, `{"a":[1,2.5e-3,{"b":[]}],"max_tokens":18446744073709551616}`, " {\"a\" :\t\"\u4e2d\"\r\n} ", `{"stream_options":null}`,
		"{\"a\":\"\xff\"}", `{"n":1.0,"user":null}`, `[1]`, `{"a":1}{`, `{"stream":truE}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if depthOf(body) > MaxDepth {
			return
		}
		var env Envelope
		err := Peek("", body, &env)
		keys, values, ok := reference(body)
		var e *vegaerr.Error
		errors.As(err, &e)
		if ok != (err == nil || e.Reason == "invalid_request") {
			// 键的错误可能先于后面的文法错误被发现，两者都是拒绝。
			if ok || e.Reason != "invalid_request" {
				t.Fatalf("reference says object=%v, Peek says %v", ok, err)
			}
		}
		if err != nil {
			if ok && !ambiguous(keys, actedKeys[:]) && !wrongTypes(keys, values) {
				t.Fatalf("refused without reason: %v", err)
			}
			return
		}
		if ambiguous(keys, actedKeys[:]) {
			t.Fatalf("accepted an ambiguous body %q", body)
		}
		checkValues(t, &env, keys, values)
		checkRewrite(t, body, &env)
	})
}

// wrongTypes 说有个看得见的键的值类型不对；判断独立于扫描器。
func wrongTypes(keys []string, values []json.RawMessage) bool {
	for i, k := range keys {
		var v any
		d := json.NewDecoder(bytes.NewReader(values[i]))
		d.UseNumber()
		if d.Decode(&v) != nil {
			return true
		}
		switch x := v.(type) {
		case nil:
			if k == "model" {
				return true
			}
			continue
		case string:
			if k == "model" && x == "" || k != "model" && k != "user" && acted(k) {
				return true
			}
		case bool:
			if acted(k) && k != "stream" {
				return true
			}
		case json.Number:
			whole := strings.TrimRight(x.String(), "0")
			if acted(k) && (k == "model" || k == "stream" || k == "user" || k == "stream_options" || strings.ContainsAny(x.String(), "eE") ||
				strings.Contains(x.String(), ".") && !strings.HasSuffix(whole, ".")) {
				return true
			}
		case []any:
			if acted(k) {
				return true
			}
		case map[string]any:
			if acted(k) && k != "stream_options" {
				return true
			}
			if k == "stream_options" {
				inner, innerValues, _ := reference(values[i])
				if ambiguous(inner, optionKeys[:]) {
					return true
				}
				for j, ik := range inner {
					if s := string(innerValues[j]); ik == "include_usage" && s != "true" && s != "false" && s != "null" {
						return true
					}
				}
			}
		}
	}
	return false
}

func acted(k string) bool {
	for _, name := range actedKeys {
		if k == name {
			return true
		}
	}
	return false
}

func checkValues(t *testing.T, env *Envelope, keys []string, values []json.RawMessage) {
	t.Helper()
	var want struct {
		Model, User string
		Stream      bool
	}
	has := false
	for i, k := range keys {
		switch k {
		case "model":
			has = true
			_ = json.Unmarshal(values[i], &want.Model)
		case "user":
			_ = json.Unmarshal(values[i], &want.User)
		case "stream":
			_ = json.Unmarshal(values[i], &want.Stream)
		}
	}
	if env.HasModel() != has || string(env.Model) != want.Model || string(env.User) != want.User || env.Stream != want.Stream {
		t.Fatalf("got %+v, want %+v", env, want)
	}
}

// checkRewrite 看改写的结果：仍是合法对象，模型与 include_usage 如愿，其余成员的原文不变。
func checkRewrite(t *testing.T, body []byte, env *Envelope) {
	t.Helper()
	if got := Rewrite(nil, body, env, "", false); !bytes.Equal(got, body) {
		t.Fatalf("nothing to change, yet %q became %q", body, got)
	}
	const model = "up/\"stream\" \\ 模型"
	out := Rewrite([]byte("kept"), body, env, model, true)
	if !bytes.HasPrefix(out, []byte("kept")) {
		t.Fatal("dst was not kept")
	}
	out = out[4:]
	var again Envelope
	if err := Peek("", out, &again); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if !again.WantsUsage || env.HasModel() && string(again.Model) != model || again.Stream != env.Stream {
		t.Fatalf("%q gave %+v", out, again)
	}
	keys, values, _ := reference(body)
	keys2, values2, _ := reference(out)
	if len(keys2) != len(keys) && !(len(keys2) == len(keys)+1 && keys2[len(keys)] == "stream_options") {
		t.Fatalf("members %q became %q", keys, keys2)
	}
	for i, k := range keys {
		if k != keys2[i] || k != "model" && k != "stream_options" && !bytes.Equal(values[i], values2[i]) {
			t.Fatalf("member %q: %s became %s", k, values[i], values2[i])
		}
		if k == "stream_options" && !sameButUsage(values[i], values2[i]) {
			t.Fatalf("stream_options %s became %s", values[i], values2[i])
		}
	}
}

func sameButUsage(a, b json.RawMessage) bool {
	var x, y map[string]any
	_ = json.Unmarshal(a, &x)
	_ = json.Unmarshal(b, &y)
	delete(x, "include_usage")
	delete(y, "include_usage")
	return len(x) == 0 && len(y) == 0 || reflect.DeepEqual(x, y)
}

func FuzzValidObject_AgreesWithEncodingJSON(f *testing.F) {
	f.Add([]byte(` {"a":[{}]} `))
	f.Add([]byte(`{"a":1`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if depthOf(body) > MaxDepth {
			return
		}
		want := json.Valid(body) && bytes.TrimLeft(body, " \t\r\n")[0] == '{'
		if got := ValidObject(body); got != want {
			t.Fatalf("%q: got %v", body, got)
		}
	})
}
