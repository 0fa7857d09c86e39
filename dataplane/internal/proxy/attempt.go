package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// Answer 是上游的应答；用完必须 Close，没有读完就 Close 即取消上游。
type Answer struct {
	Status int
	Header http.Header
	Length int64 // 体的字节数，-1 即不知道

	body    io.ReadCloser
	ctx     context.Context
	cancel  context.CancelCauseFunc
	watch   watch
	trace   httptrace.ClientTrace
	handed  mark
	wrote   atomic.Bool // HTTP/2：头已写出
	multi   bool        // HTTP/2
	source  Source
	startBy time.Time
	room    requestRoom
}

// Do 发出一次调用，等到应答的头。ctx 结束即取消上游。
func (p *Pool) Do(ctx context.Context, c *Call) (*Answer, *Failure) {
	t, err := p.transport(c.Server)
	if err != nil {
		return nil, &Failure{Kind: Connect, cause: err}
	}
	a := &Answer{source: c.Body, startBy: c.StartBy}
	a.ctx, a.cancel = context.WithCancelCause(ctx)
	a.watch.begin(c.Server, c.StartBy, a.cancel)
	a.trace.GotConn = a.gotConn
	if c.hasBody() {
		a.trace.WroteRequest = a.wroteRequest
	}
	if c.Server.BaseURL.Scheme == "https" {
		a.trace.WroteHeaders = func() { a.wrote.Store(true) }
	}
	resp, err := t.RoundTrip(newRequest(httptrace.WithClientTrace(a.ctx, &a.trace), c, &a.room)) //nolint:bodyclose // 体归 Answer，由 Close 关
	if err != nil {
		f := a.roundTripFailure(err)
		a.finish()
		return nil, f
	}
	a.Status, a.Header, a.Length, a.body = resp.StatusCode, resp.Header, resp.ContentLength, resp.Body
	return a, nil
}

func (a *Answer) gotConn(info httptrace.GotConnInfo) {
	// 先认 HTTP/2：它的连接是共用的，别的流正卡在写上时 markOf 会等着那把锁，超时与取消都叫不醒。
	if a.multi = negotiatedH2(info.Conn); a.multi {
		a.late()
		return
	}
	a.handed = markOf(info.Conn, info.Reused, a.startBy)
	a.multi = a.handed.conn == nil
	if a.late() {
		a.handed.shutWrites()
	}
}

// late 说拿到连接已经太晚：许可里的速率单位过了寿命。取消之后 Transport 不再换连接重来。
func (a *Answer) late() bool {
	if a.watch.inTime() {
		return false
	}
	a.cancel(errLate)
	return true
}

// wroteRequest 在 Transport 写完（或写坏）请求之后归还借出的那一份体。
// 一次也没有开始写的借出永远不还：那个缓冲交给回收器，不回池，无害。
func (a *Answer) wroteRequest(httptrace.WroteRequestInfo) { a.source.Release() }

func (a *Answer) sent() bool {
	if a.multi {
		return a.settledWrite()
	}
	return a.handed.sent()
}

// settledWrite 说 HTTP/2 的头写出了没有。取消时 RoundTrip 不等写头的协程，它可能正写到一半，
// 没有可等的信号，所以给它至多 50 毫秒：只有取消的、头还没写出的调用才走到这里。
func (a *Answer) settledWrite() bool {
	const steps, step = 50, time.Millisecond
	for range steps {
		if a.wrote.Load() || a.ctx.Err() == nil {
			break
		}
		time.Sleep(step)
	}
	return a.wrote.Load()
}

func (a *Answer) roundTripFailure(err error) *Failure {
	f := &Failure{Sent: a.sent(), cause: err}
	switch {
	case a.ctx.Err() != nil:
		f.Kind = kindOf(context.Cause(a.ctx))
	case f.Sent:
		f.Kind = Broken
	case errors.Is(err, errLate):
		f.Kind = Late
	default:
		f.Kind = Connect
	}
	return f
}

// Read 读应答体；io.EOF 之外的错误都是 *Failure。
func (a *Answer) Read(p []byte) (int, error) {
	a.watch.readBegins()
	n, err := a.body.Read(p)
	a.watch.readEnds()
	if n > 0 || err == io.EOF {
		a.watch.firstByteSeen()
	}
	if err != nil && err != io.EOF {
		f := &Failure{Kind: Truncated, Sent: true, cause: err}
		if a.ctx.Err() != nil {
			f.Kind = kindOf(context.Cause(a.ctx))
		}
		err = f
	}
	return n, err
}

// Close 放掉连接；体没有读完时连接随之关闭，上游由此得知取消。
func (a *Answer) Close() error {
	err := a.body.Close()
	a.finish()
	return err
}

func (a *Answer) finish() {
	a.watch.stop()
	a.cancel(errFinished)
}
