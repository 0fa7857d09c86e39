package dialect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"
)

const formType = `multipart/form-data; boundary=b`

func field(name, value string) string {
	return fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", name, value)
}

const fileField = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\b.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--\r\n\x00\xff--b\r\n\r\n"

func TestPeekMultipart_ReplacesOnlyTheModelValue(t *testing.T) {
	body := "\r\n" + fileField + field("model", "whisper-1") + field("stream", "true") + field("n", "2") + field("user", "u") + field("prompt", "") + "--b--\r\n"
	var env Envelope
	if err := PeekMultipart(formType, []byte(body), &env); err != nil {
		t.Fatal(err)
	}
	if string(env.Model) != "whisper-1" || !env.Stream || env.N.Value != 2 || string(env.User) != "u" || env.Format != Multipart {
		t.Fatalf("got %+v", env)
	}
	got := string(Rewrite(nil, []byte(body), &env, "large-v3", true))
	if want := strings.Replace(body, "whisper-1", "large-v3", 1); got != want {
		t.Fatalf("got %q\nwant %q", got, want)
	}
}

func TestPeekMultipart_WithoutModelIsFine(t *testing.T) {
	var env Envelope
	if err := PeekMultipart(formType, []byte(fileField+"--b--"), &env); err != nil || env.HasModel() {
		t.Fatalf("%v %+v", err, env)
	}
}

func TestPeekMultipart_RefusesWhatTwoParsersMayReadDifferently(t *testing.T) {
	part := func(disposition, extra string) string {
		return "--b\r\nContent-Disposition: " + disposition + "\r\n" + extra + "\r\nx\r\n--b--\r\n"
	}
	for name, body := range map[string]string{
		"empty":                 "",
		"no closing":            field("model", "a"),
		"preamble":              "hi\r\n" + field("model", "a") + "--b--",
		"epilogue":              field("model", "a") + "--b--\r\nmodel=b",
		"LF lines":              strings.ReplaceAll(field("model", "a")+"--b--", "\r\n", "\n"),
		"padded boundary":       strings.Replace(field("model", "a")+"--b--", "--b\r\n", "--b \r\n", 1),
		"longer boundary":       field("x", "1\r\n--bc") + "--b--",
		"duplicate model":       field("model", "a") + field("model", "b") + "--b--",
		"case variant":          field("Model", "a") + "--b--",
		"empty model":           field("model", "") + "--b--",
		"stream nonsense":       field("stream", "maybe") + "--b--",
		"n nonsense":            field("n", "two") + "--b--",
		"model as a file":       part(`form-data; name="model"; filename="x"`, ""),
		"encoded model":         part(`form-data; name="model"`, "Content-Transfer-Encoding: base64\r\n"),
		"extended name":         part(`form-data; name*=utf-8''model`, ""),
		"backslash in name":     part(`form-data; name="mo\del"`, ""),
		"two names":             part(`form-data; name="x"; name="model"`, ""),
		"split file name":       part(`form-data; name="x"; filename="a\"; name=\"model"`, ""),
		"name in a later value": part(`form-data; filename="\\"; a="; name=model; b="`, ""),
		"not form-data":         part(`attachment; name="x"`, ""),
		"two dispositions":      part(`form-data; name="x"`, "Content-Disposition: form-data; name=\"model\"\r\n"),
		"folded header":         part("form-data;\r\n name=\"model\"", ""),
		"unquoted garbage":      part(`form-data; name=mo del`, ""),
		"no blank line":         "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n--b--\r\n\r\n",
		"boundary as header":    "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n--b: y\r\n\r\nv\r\n--b--",
		"value without CRLF":    "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n--b--\r\n",
	} {
		var env Envelope
		if reason, _, _ := reasonOf(t, PeekMultipart(formType, []byte(body), &env)); reason != "invalid_request" {
			t.Errorf("%s: reason %q, model %q", name, reason, env.Model)
		}
	}
}

func TestPeekMultipart_RefusesBadBoundaries(t *testing.T) {
	for _, ct := range []string{"", "multipart/form-data", "multipart/form-data; boundary=" + strings.Repeat("x", 71), "multipart/form-data; boundary*=utf-8''b", "multipart/form-data; boundary=b; boundary=c", `multipart/form-data; boundary="b "`} {
		var env Envelope
		if reason, _, _ := reasonOf(t, PeekMultipart(ct, []byte(field("model", "a")+"--b--"), &env)); reason != "invalid_request" {
			t.Errorf("%q: reason %q", ct, reason)
		}
	}
}

// goForm 用 mime/multipart 读出 model 的值；读不懂 ok 为 false。
func goForm(contentType string, body []byte) (models []string, ok bool) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return nil, false
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return models, true
		}
		if err != nil {
			return nil, false
		}
		value, err := io.ReadAll(p)
		if err != nil {
			return nil, false
		}
		if strings.EqualFold(p.FormName(), "model") {
			models = append(models, string(value))
		}
	}
}

func FuzzPeekMultipart_AgreesWithMimeMultipart(f *testing.F) {
	f.Add("b", []byte(fileField+field("model", "a")+"--b--\r\n"))
	f.Add("b", []byte(field("model", "a")+field("model", "b")+"--b--\r\n"))
	f.Add("b", []byte("--b\r\nContent-Disposition: form-data; name=model;\r\n\r\nx\r\n--b--"))
	f.Add("b", []byte("--b\r\n\r\n\r\n--b--"))
	f.Add("--", []byte("----\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n\r\n\r\n------"))
	f.Fuzz(func(t *testing.T, boundary string, body []byte) {
		ct := mime.FormatMediaType("multipart/form-data", map[string]string{"boundary": boundary})
		var env Envelope
		if PeekMultipart(ct, body, &env) != nil {
			return
		}
		models, ok := goForm(ct, body)
		if !ok {
			return
		}
		switch {
		case env.HasModel() && (len(models) != 1 || models[0] != string(env.Model)), !env.HasModel() && len(models) != 0:
			t.Fatalf("%q: we read %q, mime/multipart %q", body, env.Model, models)
		}
		out := Rewrite(nil, body, &env, "other-model", false)
		if models, ok = goForm(ct, out); env.HasModel() && (!ok || len(models) != 1 || models[0] != "other-model") {
			t.Fatalf("%q rewritten to %q reads %q", body, out, models)
		}
	})
}

func FuzzPeekMultipart_AcceptsWhatGoWrites(f *testing.F) {
	f.Add("whisper-1", "a\"b.wav", []byte("RIFF\r\n--"), "hello")
	f.Fuzz(func(t *testing.T, model, filename string, file []byte, prompt string) {
		if model == "" {
			return
		}
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		if part, err := w.CreateFormFile("file", strings.NewReplacer(";", "", "\x00", "").Replace(filename)); err == nil {
			_, _ = part.Write(file)
		}
		_ = w.WriteField("prompt", prompt)
		_ = w.WriteField("model", model)
		_ = w.Close()
		var env Envelope
		if err := PeekMultipart(w.FormDataContentType(), b.Bytes(), &env); err != nil {
			t.Fatalf("%q: %v", b.Bytes(), err)
		}
		if string(env.Model) != model {
			t.Fatalf("model %q, want %q", env.Model, model)
		}
	})
}
