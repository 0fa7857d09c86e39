package upstreamtest

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func get(t *testing.T, s *Server, method, path string) answered {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), method, s.URL()+path, nil)
	resp, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return answered{resp.StatusCode, resp.Header, string(data), err}
}

// upload 发一个 multipart；content 为 nil 时没有文件。
func upload(t *testing.T, s *Server, path, id string, content []byte, fields map[string]string) answered {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for k, v := range fields {
		_ = form.WriteField(k, v)
	}
	if content != nil {
		w, _ := form.CreateFormFile("file", "音.bin")
		_, _ = w.Write(content)
	}
	_ = form.Close()
	r, _ := http.NewRequestWithContext(t.Context(), "POST", s.URL()+path, &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("X-Request-Id", id)
	resp, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return answered{resp.StatusCode, resp.Header, string(data), err}
}

func TestEmbeddings_FloatAndBase64AreTheSameVector(t *testing.T) {
	s := started(t, Config{})
	floats := post(t, s, "/v1/embeddings", "a", `{"model":"e","input":["x","y"],"dimensions":4}`).body
	packed := post(t, s, "/v1/embeddings", "b", `{"model":"e","input":["x","y"],"dimensions":4,"encoding_format":"base64"}`).body
	raw, err := base64.StdEncoding.DecodeString(gjson.Get(packed, "data.1.embedding").String())
	if err != nil || len(raw) != 16 || gjson.Get(floats, "data.1.embedding.#").Int() != 4 || gjson.Get(floats, "data.#").Int() != 2 {
		t.Fatalf("%v %s %s", err, floats, packed)
	}
	again := string(appendVector(nil, vector(`"y"`, 4), false))
	if gjson.Get(floats, "data.1.embedding").Raw != again || !bytes.Equal(raw, mustUnpack(t, `"y"`)) {
		t.Fatal("the vector depends on more than its input")
	}
	if u := entry(t, s, "a").Usage; u.Prompt == 0 || u.Completion != 0 {
		t.Fatalf("%+v", u)
	}
}

func mustUnpack(t *testing.T, text string) []byte {
	t.Helper()
	quoted := appendVector(nil, vector(text, 4), true)
	raw, err := base64.StdEncoding.DecodeString(strings.Trim(string(quoted), `"`))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestEmbeddings_CountsEveryInputShape(t *testing.T) {
	for input, want := range map[string]int{`"a"`: 1, `["a","b","c"]`: 3, `[1,2,3]`: 1, `[[1,2],[3]]`: 2, `[]`: 0} {
		if got := len(inputs(gjson.Parse(input))); got != want {
			t.Errorf("%s: %d inputs, want %d", input, got, want)
		}
	}
}

func TestEndpoints_AnswerInTheirOwnShape(t *testing.T) {
	s := started(t, Config{})
	for path, c := range map[string]struct{ body, at, want string }{
		"/v1/images/generations": {`{"model":"i","prompt":"x","n":2}`, "data.#", "2"},
		"/v1/moderations":        {`{"input":["a","b"]}`, "results.#", "2"},
		"/v1/rerank":             {`{"model":"r","query":"q","documents":["a","b","c"],"top_n":2}`, "results.#", "2"},
	} {
		got := post(t, s, path, path, c.body)
		if got.status != 200 || gjson.Get(got.body, c.at).String() != c.want {
			t.Errorf("%s: %+v", path, got)
		}
		if e := entry(t, s, path); !e.Finished {
			t.Errorf("%s: %+v", path, e)
		}
	}
}

func TestSpeech_IsBinaryOfTheScriptedSize(t *testing.T) {
	s := started(t, Config{Default: Behavior{Chunks: 3, ChunkBytes: 700}})
	got := post(t, s, "/v1/audio/speech", "a", `{"model":"tts","input":"x"}`)
	if len(got.body) != 2100 || got.header.Get("Content-Type") != "audio/mpeg" || entry(t, s, "a").Chunks != 3 {
		t.Fatalf("%d bytes, %v", len(got.body), got.header)
	}
}

func TestMultipart_ModelPartIsReadWithItsDirectives(t *testing.T) {
	s := started(t, Config{})
	got := upload(t, s, "/v1/audio/transcriptions", "a", []byte{0xFF, 0, 1}, map[string]string{"model": "whisper?text=听到了&chunks=1"})
	if got.status != 200 || gjson.Get(got.body, "text").String() != "听到了" {
		t.Fatalf("%+v", got)
	}
	if e := entry(t, s, "a"); e.Model != "whisper" || !e.UsageSent {
		t.Fatalf("%+v", e)
	}
	if got := upload(t, s, "/v1/images/edits", "b", []byte("png"), map[string]string{"model": "i"}); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	if got := upload(t, s, "/v1/audio/transcriptions", "c", nil, nil); got.status != 400 {
		t.Fatalf("no file: %+v", got)
	}
}

func TestFiles_LiveFromUploadToDelete(t *testing.T) {
	s := started(t, Config{})
	content := []byte("line\n\x00\xff")
	made := upload(t, s, "/v1/files", "a", content, map[string]string{"purpose": "batch"})
	id := gjson.Get(made.body, "id").String()
	if gjson.Get(made.body, "filename").String() != "音.bin" || gjson.Get(made.body, "bytes").Int() != int64(len(content)) {
		t.Fatalf("%+v", made)
	}
	if got := get(t, s, "GET", "/v1/files"); gjson.Get(got.body, "data.0.id").String() != id {
		t.Fatal(got.body)
	}
	if got := get(t, s, "GET", "/v1/files/"+id); gjson.Get(got.body, "purpose").String() != "batch" {
		t.Fatal(got.body)
	}
	if got := get(t, s, "GET", "/v1/files/"+id+"/content"); got.body != string(content) {
		t.Fatalf("%q", got.body)
	}
	if got := get(t, s, "DELETE", "/v1/files/"+id); !gjson.Get(got.body, "deleted").Bool() {
		t.Fatal(got.body)
	}
	if got := get(t, s, "GET", "/v1/files/"+id); got.status != 404 {
		t.Fatalf("%+v", got)
	}
}

func TestModels_ListGetAndUnknown(t *testing.T) {
	s := started(t, Config{Models: []string{"org/model-a"}})
	if got := get(t, s, "GET", "/v1/models"); gjson.Get(got.body, "data.0.id").String() != "org/model-a" {
		t.Fatal(got.body)
	}
	if got := get(t, s, "GET", "/v1/models/org/model-a"); got.status != 200 {
		t.Fatal(got.body)
	}
	for _, path := range []string{"/v1/models/none", "/v1/nowhere"} {
		if got := get(t, s, "GET", path); got.status != 404 || !gjson.Get(got.body, "error.type").Exists() {
			t.Fatalf("%s: %+v", path, got)
		}
	}
	if got := get(t, s, "GET", "/healthz"); got.status != 200 || s.Stats().Requests != 4 {
		t.Fatalf("%+v", got)
	}
}

func TestBadJSONAndOversizedBodiesAreRefused(t *testing.T) {
	s := started(t, Config{MaxBodyBytes: 1000})
	for _, body := range []string{`{"model":`, `{"a":"` + strings.Repeat("x", 2000) + `"}`} {
		if got := post(t, s, "/v1/chat/completions", "a", body); got.status != 400 || !gjson.Get(got.body, "error.message").Exists() {
			t.Fatalf("%+v", got)
		}
	}
}
