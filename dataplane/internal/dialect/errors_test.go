package dialect

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

type errorForm struct {
	Error map[string]any `json:"error"`
}

func TestDescribe_KnowsEveryReasonOfTheContract(t *testing.T) {
	for reason, want := range map[string]int{
		"invalid_json": 400, "invalid_request": 400, "invalid_api_key": 401, "app_disabled": 403, "model_not_allowed": 403, "model_not_found": 404,
		"request_too_large": 413, "queue_full": 429, "queue_timeout": 429, "rate_limit_exceeded": 429, "insufficient_quota": 429,
		"upstream_error": 502, "upstream_auth_failed": 502, "not_ready": 503, "no_server_available": 503, "upstream_timeout": 504,
	} {
		if status, typ := Describe(reason); status != want || typ == "" {
			t.Errorf("%s: %d %q", reason, status, typ)
		}
	}
	for c := vegaerr.Invalid; c <= vegaerr.Internal; c++ {
		if _, ok := descriptions[c.String()]; !ok {
			t.Errorf("code %s has no description", c)
		}
	}
	if status, typ := Describe("never heard of"); status != 500 || typ != typeServer {
		t.Errorf("unknown: %d %q", status, typ)
	}
}

func FuzzAppendError_IsAlwaysTheForm(f *testing.F) {
	f.Add("a \"b\"\n", "t", "", "c\x00")
	f.Add("\xff\u2028", "", "p", "")
	f.Fuzz(func(t *testing.T, message, typ, param, code string) {
		out := AppendError([]byte("x"), message, typ, param, code)[1:]
		var got errorForm
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		for k, v := range map[string]string{"message": message, "type": typ, "param": param, "code": code} {
			// 逐字节把不合法的 UTF-8 换成 U+FFFD。
			var want any = string([]rune(v))
			if v == "" && (k == "param" || k == "code") {
				want = nil
			}
			if g, ok := got.Error[k]; !ok || g != want {
				t.Fatalf("%s: %q, want %q in %q", k, g, want, out)
			}
		}
		if len(got.Error) != 4 {
			t.Fatalf("fields %v", got.Error)
		}
	})
}

func TestWrapError_LeavesTheFormAlone(t *testing.T) {
	for _, body := range []string{`{"error":{"message":"m"}}`, ` {"error":{"code":1,"message":"m","x":9007199254740993}, "y":1}` + "\n"} {
		if out, form := WrapError(400, "application/json", []byte(body)); !form || string(out) != body {
			t.Errorf("%s became %s", body, out)
		}
	}
}

func TestWrapError_WrapsEverythingElse(t *testing.T) {
	for _, c := range []struct {
		status                          int
		contentType, body, typ, message string
	}{
		{502, "text/html; charset=utf-8", "<html><head><title>502 Bad\x00\nGateway</title></head></html>", typeServer, "upstream answered 502 (text/html): 502 Bad Gateway"},
		{404, "application/json", `{"detail":"Not Found"}`, typeNotFound, "upstream answered 404 (application/json): Not Found"},
		{400, "application/json", `{"error":"bad thing"}`, typeInvalid, "upstream answered 400 (application/json): bad thing"},
		{500, "application/json", `{"error":{"message":7}}`, typeServer, `upstream answered 500 (application/json): {"error":{"message":7}}`},
		{503, "", "", typeServer, "upstream answered 503"},
		{429, "text/plain", "slow\tdown " + strings.Repeat("界", 300), typeRateLimit, "upstream answered 429 (text/plain): slow down " + strings.Repeat("界", 190) + "…"},
		{403, "text/plain", "a\xffb", typePermission, "upstream answered 403 (text/plain): ab"},
	} {
		out, form := WrapError(c.status, c.contentType, []byte(c.body))
		var got errorForm
		if err := json.Unmarshal(out, &got); err != nil || form {
			t.Fatalf("%q: %v %v", out, err, form)
		}
		if got.Error["message"] != c.message || got.Error["type"] != c.typ || got.Error["code"] != "upstream_error" || got.Error["param"] != nil {
			t.Errorf("got %q\nwant %q", got.Error, c.message)
		}
	}
}

func TestRecognisers(t *testing.T) {
	if !NamesStreamOptions([]byte(`{"error":{"param":"stream_options"}}`)) || !NamesStreamOptions([]byte("unknown field include_usage")) || NamesStreamOptions([]byte(`{"error":"stream"}`)) {
		t.Error("NamesStreamOptions")
	}
	for body, want := range map[string]bool{
		`{"error":{"code":"insufficient_quota"}}`: true, `{"error":{"type":"insufficient_quota","code":null}}`: true, `{"code":"insufficient_quota"}`: true,
		`{"error":{"message":"not insufficient_quota"}}`: false, `insufficient_quota`: false, `{"error":{"code":"rate_limit_exceeded"}}`: false,
	} {
		if got := IsInsufficientQuota([]byte(body)); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func TestRetryAfter_ReadsEveryForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for _, c := range []struct {
			ms, s string
			want  time.Duration
			ok    bool
		}{
			{"1500", "9", 1500 * time.Millisecond, true}, {"", "3", 3 * time.Second, true}, {"", "0.5", 500 * time.Millisecond, true}, {"x", "2", 2 * time.Second, true},
			{"", now.Add(7 * time.Second).UTC().Format(http.TimeFormat), 7 * time.Second, true}, {"", now.Add(-time.Hour).UTC().Format(http.TimeFormat), 0, true},
			{"", "1e300", maxRetryAfter, true}, {"", "Inf", maxRetryAfter, true}, {"", "NaN", 0, false}, {"", "-1", 0, false}, {"", "", 0, false}, {"", "soon", 0, false}, {"0", "", 0, true},
		} {
			h := http.Header{}
			if c.ms != "" {
				h.Set("retry-after-ms", c.ms)
			}
			if c.s != "" {
				h.Set("Retry-After", c.s)
			}
			if d, ok := RetryAfter(h, now); d != c.want || ok != c.ok {
				t.Errorf("%q %q: %v %v", c.ms, c.s, d, ok)
			}
		}
	})
}
