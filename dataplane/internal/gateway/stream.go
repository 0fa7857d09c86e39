package gateway

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/meter"
	"github.com/vega-gateway/vega/dataplane/internal/proxy"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

var (
	noCache     = []string{"no-cache"}
	noBuffering = []string{"no"}
)

// flow 是一条流从上游到客户端的这一段。
type flow struct {
	src   io.Reader
	meter *meter.Stream
	tap   *meter.Tap // 压缩着交出去的流：解开的一份给 meter
	close func()
}

var errUndecodable = errors.New("the encoding is unknown and the head was sent without it")

// openFlow 接好一条流。压缩的流在客户端不收、要剥用量块或头已经写出时解开，否则原样过去、旁路解一份。
func (x *exchange) openFlow() (*flow, error) {
	f := &flow{src: x.live, meter: x.gw.streams.Get(x.ep.Stream, x.injected), close: func() {}}
	encoding := x.live.Header.Get("Content-Encoding")
	if !meter.Encoded(encoding) {
		return f, nil
	}
	if !meter.Decodable(encoding) {
		if x.early {
			return nil, errUndecodable
		}
		return f, nil
	}
	if !x.injected && !x.early && meter.Accepts(x.r.Header.Get("Accept-Encoding"), encoding) {
		f.tap, _ = meter.NewTap(encoding, meter.Limits{}, func(p []byte) { f.meter.Feed(p) })
		f.close = f.tap.Close
		return f, nil
	}
	r, err := meter.NewReader(encoding, x.live, meter.Limits{})
	if err != nil {
		return nil, err
	}
	x.head.Del("Content-Encoding")
	f.src, f.close = r, func() { _ = r.Close() }
	return f, nil
}

// feed 看一段，返回现在要送给客户端的。
func (f *flow) feed(p []byte) []byte {
	if f.tap != nil {
		f.tap.Feed(p)
		return p
	}
	return f.meter.Feed(p)
}

// finish 在上游结束后给出还扣着的字节与结论。解不开的压缩流谈不上完整与否，按传输层的话算。
func (f *flow) finish() ([]byte, meter.Verdict) {
	opaque := f.tap != nil && !f.tap.Finish()
	rest, v := f.meter.Finish()
	if f.tap != nil {
		rest = nil
	}
	v.Whole = v.Whole || opaque
	return rest, v
}

// stream 把 SSE 一读一送地交给客户端。首个字节之前头还没有写出。
func (x *exchange) stream() error {
	x.streaming = true
	f, err := x.openFlow()
	if err != nil {
		return x.unusable(err, "the upstream's stream could not be decoded")
	}
	x.gw.metrics.streams.Inc()
	defer func() {
		x.gw.metrics.streams.Dec()
		f.close()
		x.gw.streams.Put(f.meter)
	}()
	return x.pump(f)
}

func (x *exchange) pump(f *flow) error {
	x.clock = time.Now()
	x.told.at = x.clock
	x.call.passed.stepwise = !x.expectsUsage()
	if x.choices() > 1 {
		f.meter.Parallel()
	}
	c := x.gw.chunks.take()
	defer c.done()
	for {
		room := c.room()
		n, err := f.src.Read(room)
		if n > 0 {
			x.sawByte()
			out := f.feed(room[:n])
			x.flowing(f.meter)
			if f.meter.TerminalSeen() && !x.closed && !broken(bugCloseLate) {
				x.measuredStream(f.meter, true)
				x.completed(http.StatusOK, outcomeOf(f.meter.Verdict()))
			}
			if !x.relay(out) && !x.drains() || x.drained() {
				x.measuredStream(f.meter, false)
				return x.broken(&proxy.Failure{Kind: proxy.Canceled, Sent: true})
			}
			c.fit(n)
		}
		if errors.Is(err, io.EOF) {
			return x.endOfStream(f)
		}
		if err != nil {
			return x.cutOff(f, failureOf(err))
		}
	}
}

// relay 送出一段并冲刷；头在第一段之前写出。写不出去返回 false。
func (x *exchange) relay(p []byte) bool {
	if len(p) == 0 {
		return !x.gone
	}
	if !x.begun() && !x.gone {
		x.commit(http.StatusOK, -1)
	}
	return x.write(p) && x.flush()
}

// endOfStream 是上游干净地结束：没有终止的迹象仍是截断。
func (x *exchange) endOfStream(f *flow) error {
	if broken(bugCloseLate) {
		time.Sleep(100 * time.Millisecond)
	}
	rest, v := f.finish()
	if !v.Whole {
		return x.cutOffWith(f, rest, &proxy.Failure{Kind: proxy.Truncated, Sent: true})
	}
	if !x.closed {
		x.measuredStream(f.meter, true)
		x.completed(http.StatusOK, outcomeOf(v))
	}
	x.relay(rest)
	if !x.begun() && !x.gone {
		x.commit(http.StatusOK, -1)
	}
	return nil
}

func (x *exchange) cutOff(f *flow, why *proxy.Failure) error {
	rest, _ := f.finish()
	return x.cutOffWith(f, rest, why)
}

// cutOffWith 把收到的都交出去，再让连接异常结束；一个字节也没有交出时答错误更清楚。
func (x *exchange) cutOffWith(f *flow, rest []byte, why *proxy.Failure) error {
	x.measuredStream(f.meter, false)
	if x.begun() {
		x.relay(rest)
	}
	return x.broken(why)
}

// outcomeOf 是走完的流的结局：带错误事件的是上游的错。
func outcomeOf(v meter.Verdict) usagev1.Outcome {
	if v.ErrorEvent {
		return usagev1.Outcome_OUTCOME_UPSTREAM_ERROR
	}
	return usagev1.Outcome_OUTCOME_OK
}
