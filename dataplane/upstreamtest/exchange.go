package upstreamtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// exchange 是一次请求的一生：到达、读体、剧本、作答、结账。只被一个 goroutine 使用。
type exchange struct {
	srv *Server
	w   http.ResponseWriter
	ctl *http.ResponseController
	r   *http.Request
	ctx context.Context
	req *Request
	b   Behavior
	rec *record

	body     *bytes.Buffer // 请求体；第一次等待之前归还
	timer    *time.Timer   // 所有停顿共用
	enc      *encoder
	eol      string
	status   int // 已发出的应答头
	chunks   int
	pending  []byte // 因 Burst 尚未写出的块
	latest   *Usage // 尚未写出的块里的用量
	reported *Usage // 账本里的用量
	admitted bool
	gone     bool // 已离开 in-flight
	settled  bool
}

// errEnded 表示应答已经结束（按剧本断开、出错或对方离开），端点应当立即返回。
var errEnded = errors.New("answer ended")

// errUpload 表示请求体没有传完对方就走了。
var errUpload = errors.New("request body ended early")

// handle 让一个端点在记账与剧本之下作答。counted 为假的端点不占限额也不计入 in-flight。
func (s *Server) handle(counted bool, answer func(*exchange) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.handlers.Add(1)
		defer s.handlers.Add(-1)
		x := &exchange{
			srv: s, w: w, r: r, ctx: r.Context(), ctl: http.NewResponseController(w),
			gone: !counted, eol: "\n",
		}
		if counted {
			s.limiter.inFlight.enter(s.cfg.Now)
		}
		x.rec = s.book.open(r)
		defer x.end()
		var refused *refusal
		if counted {
			refused, x.admitted = s.limiter.admit(s.cfg.Now())
		}
		// 端点返回的错误只表示应答已结束，结局已在账本里。
		_ = x.serve(refused, answer)
	}
}

func (x *exchange) serve(refused *refusal, answer func(*exchange) error) error {
	err := x.read()
	if errors.Is(err, errUpload) {
		x.settle(aborted)
		return errEnded
	}
	if err != nil {
		return x.fail(http.StatusBadRequest, "invalid_request_error", "", err.Error())
	}
	if x.b, err = x.srv.behave(x.req); err != nil {
		x.b = Behavior{}
		return x.fail(http.StatusBadRequest, "invalid_request_error", "invalid_directive", err.Error())
	}
	if x.b.CRLF {
		x.eol = "\r\n"
	}
	if refused != nil {
		return x.refuse(refused)
	}
	if done, err := x.scripted(); done {
		return err
	}
	return answer(x)
}

// read 读完整个请求体：只有读完，net/http 才会察觉对方断开。
func (x *exchange) read() error {
	x.req = &Request{
		Seq: x.rec.entry.Seq, ID: x.rec.entry.RequestID, Method: x.r.Method, Path: x.r.URL.Path,
		Authorization: x.rec.entry.Authorization, Header: x.r.Header, Choices: 1,
	}
	x.body = x.srv.bodies.Get().(*bytes.Buffer)
	x.body.Reset()
	limit := x.srv.cfg.MaxBodyBytes
	n, err := x.body.ReadFrom(io.LimitReader(x.r.Body, limit+1))
	if err != nil {
		return errUpload
	}
	if n > limit {
		return fmt.Errorf("body is larger than %d bytes", limit)
	}
	return x.parse(x.body.Bytes())
}

func (x *exchange) parse(body []byte) error {
	var err error
	contentType := x.r.Header.Get("Content-Type")
	switch {
	case x.r.Method != http.MethodPost:
	case isMultipart(contentType):
		err = x.req.readForm(contentType, body)
	case !gjson.ValidBytes(body):
		err = errors.New("We could not parse the JSON body of your request.") // 模仿上游的原文
	default:
		x.req.readJSON(body)
	}
	x.req.Body = body
	x.req.promptQuery = promptDirective(body)
	if x.srv.cfg.NoLedger {
		return err
	}
	x.srv.book.update(x.rec, func(e *Entry) {
		e.Model, e.FullModel, e.Stream = x.req.Model, x.req.FullModel, x.req.Stream
		if x.srv.cfg.KeepBodies {
			e.Body = bytes.Clone(body)
		}
	})
	return err
}

// releaseBody 归还请求体的缓冲；慢应答期间不占着它。
func (x *exchange) releaseBody() {
	if x.body == nil {
		return
	}
	x.req.Body = nil
	if x.body.Cap() <= maxPooled {
		x.srv.bodies.Put(x.body)
	}
	x.body = nil
}

// leave 离开 in-flight 与并发限额；可重复调用。
func (x *exchange) leave() {
	if x.admitted {
		x.admitted = false
		x.srv.limiter.release()
	}
	if !x.gone {
		x.gone = true
		x.srv.limiter.inFlight.leave(x.srv.cfg.Now)
	}
}

// settle 先离开计数再结账；必须在最后一个字节写出之前调用，客户端看到结尾时两者都已成立。
func (x *exchange) settle(o outcome) {
	x.leave()
	x.settled = true
	if !x.srv.cfg.NoLedger {
		x.srv.book.update(x.rec, func(e *Entry) { e.Chunks = x.chunks })
	}
	x.srv.book.settle(x.rec, x.status, o)
}

// report 记下一份写出的用量，替换先前的；nil 为撤回。
func (x *exchange) report(u *Usage) {
	x.reported = u
	delta := x.srv.book.report(x.rec, u)
	x.srv.limiter.spend(x.srv.cfg.Now(), delta)
}

// end 收尾：没有结局的一律是对方先走了。
func (x *exchange) end() {
	if x.timer != nil {
		x.timer.Stop()
	}
	x.releaseBody()
	if !x.settled {
		x.settle(aborted)
	}
}

// id 给出应答里的编号，如 "chatcmpl-fake-17"。
func (x *exchange) id(prefix string) string {
	return prefix + "-fake-" + strconv.FormatInt(x.req.Seq, 10)
}

// model 是写在应答里的模型名。
func (x *exchange) model() string {
	if x.req.Model == "" {
		return "fake-model"
	}
	return x.req.Model
}
