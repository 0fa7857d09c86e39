package upstreamtest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// scripted 处理不必由端点作答的剧本；done 为真表示应答已经结束。
func (x *exchange) scripted() (done bool, err error) {
	want := x.b.Authorization
	if want == "" {
		want = x.srv.cfg.Authorization
	}
	switch {
	case x.b.Drop != "":
		if err := x.before(); err != nil {
			return true, err
		}
		return true, x.sever(x.b.Drop)
	case want != "" && want != x.req.Authorization:
		return true, x.fail(http.StatusUnauthorized, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.")
	case x.b.RefuseStreamOptions && x.req.StreamOptions:
		return true, x.answerError(http.StatusBadRequest, errorBody(
			"Unrecognized request argument supplied: stream_options", "invalid_request_error", "stream_options", "unknown_parameter"))
	case x.b.Redirect != "":
		x.w.Header().Set("Location", x.b.Redirect)
		status := x.b.Status
		if status/100 != 3 {
			status = http.StatusTemporaryRedirect
		}
		return true, x.whole(status, "", nil, nil)
	case x.b.Body != "" || x.b.EmptyBody || x.b.HTML:
		return true, x.rawBody()
	case x.b.Status != 0 && x.b.Status != http.StatusOK:
		return true, x.scriptedError()
	}
	return false, nil
}

func (x *exchange) rawBody() error {
	status := x.b.Status
	if status == 0 {
		status = http.StatusOK
	}
	x.retryHeaders(x.b.RetryAfter, x.b.RetryAfterMS)
	contentType, body := x.b.ContentType, x.b.Body
	if x.b.HTML && body == "" {
		contentType = "text/html; charset=utf-8"
		title := strconv.Itoa(status) + " " + http.StatusText(status)
		body = "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n"
	}
	if contentType == "" {
		contentType = "application/json"
	}
	if x.b.EmptyBody {
		body = ""
	}
	return x.whole(status, contentType, []byte(body), nil)
}

func (x *exchange) scriptedError() error {
	status := x.b.Status
	message, kind := x.b.ErrorMessage, x.b.ErrorType
	if message == "" {
		message = http.StatusText(status)
	}
	if kind == "" {
		kind = errorType(status)
	}
	x.retryHeaders(x.b.RetryAfter, x.b.RetryAfterMS)
	return x.answerError(status, errorBody(message, kind, "", x.b.ErrorCode))
}

// refuse 答 429：上游自己的限额已满。
func (x *exchange) refuse(r *refusal) error {
	x.srv.book.refused()
	wait := max(r.retryAfter, time.Millisecond)
	seconds := int((wait + time.Second - 1) / time.Second)
	x.retryHeaders(strconv.Itoa(seconds), strconv.FormatInt(wait.Milliseconds(), 10))
	x.b = Behavior{}
	return x.answerError(http.StatusTooManyRequests, errorBody(r.message, "rate_limit_error", "", "rate_limit_exceeded"))
}

func (x *exchange) retryHeaders(after, afterMS string) {
	if after != "" {
		x.w.Header().Set("Retry-After", after)
	}
	if afterMS != "" {
		x.w.Header().Set("Retry-After-Ms", afterMS)
	}
}

// fail 以 OpenAI 的错误形状作答。
func (x *exchange) fail(status int, kind, code, message string) error {
	return x.answerError(status, errorBody(message, kind, "", code))
}

func (x *exchange) answerError(status int, body []byte) error {
	return x.whole(status, "application/json", body, nil)
}

// streamError 在流里发一个 error 事件，然后在 HTTP 层面正常结束。
func (x *exchange) streamError() error {
	message, kind := x.b.ErrorMessage, x.b.ErrorType
	if message == "" {
		message = "The server had an error while processing your request."
	}
	if kind == "" {
		kind = "server_error"
	}
	event := x.beginEvent(nil, "")
	event = append(event, errorBody(message, kind, "", x.b.ErrorCode)...)
	if err := x.finish(section{data: x.endEvent(event)}); err != nil {
		return err
	}
	return errEnded
}

func errorType(status int) string {
	switch {
	case status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case status >= http.StatusInternalServerError:
		return "server_error"
	}
	return "invalid_request_error"
}

// errorBody 写出 {"error":{…}}；param 与 code 为空则为 null。
func errorBody(message, kind, param, code string) []byte {
	buf := append([]byte(nil), `{"error":{"message":`...)
	buf = gjson.AppendJSONString(buf, message)
	buf = append(buf, `,"type":`...)
	buf = gjson.AppendJSONString(buf, kind)
	buf = append(buf, `,"param":`...)
	buf = appendNullable(buf, param)
	buf = append(buf, `,"code":`...)
	buf = appendNullable(buf, code)
	return append(buf, `}}`...)
}

func appendNullable(buf []byte, s string) []byte {
	if s == "" {
		return append(buf, `null`...)
	}
	return gjson.AppendJSONString(buf, s)
}
