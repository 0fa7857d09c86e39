package gateway

import (
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/dataplane/internal/meter"
	"github.com/vega-gateway/vega/dataplane/internal/proxy"
	"github.com/vega-gateway/vega/dataplane/internal/state"
)

// keptBytes 是肯读完再看的错误应答的上限；再大的原样交出。
const keptBytes = 1 << 20

// kept 是一个读完了的错误应答；零值是没有。
type kept struct {
	status int
	header http.Header
	buf    *buffer
	rest   bool // 体超过 keptBytes，后面的还在 x.live 里
}

func (k *kept) body() []byte { return k.buf.Bytes() }

func (k *kept) drop() {
	if k.buf != nil {
		k.buf.Release()
	}
	*k = kept{}
}

// keep 把错误应答的体读进内存；读断了返回失败。
func (x *exchange) keep() *proxy.Failure {
	x.kept = kept{status: x.live.Status, header: x.live.Header, buf: x.gw.bodies.get()}
	err := x.readInto(x.kept.buf, x.live, keptBytes)
	x.kept.rest = errors.Is(err, errOverLimit)
	if err == nil {
		x.kept.decode()
	}
	if err == nil || x.kept.rest {
		return nil
	}
	x.kept.drop()
	return failureOf(err)
}

// readInto 读到结束或超过 limit（errOverLimit，已读的留着）；首个字节的时刻记在账上。
func (x *exchange) readInto(buf *buffer, src io.Reader, limit int) error {
	for {
		if len(buf.b) == cap(buf.b) {
			buf.b = slices.Grow(buf.b, max(4<<10, min(len(buf.b), 4<<20)))
		}
		n, err := src.Read(buf.b[len(buf.b):cap(buf.b)])
		buf.b = buf.b[:len(buf.b)+n]
		if n > 0 {
			x.sawByte()
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case len(buf.b) > limit:
			return errOverLimit
		}
	}
}

func failureOf(err error) *proxy.Failure {
	var f *proxy.Failure
	if errors.As(err, &f) {
		return f
	}
	return &proxy.Failure{Kind: proxy.Truncated, Sent: true}
}

// answerKept 交出上游的错误应答；体不是 OpenAI 形式的包一层。
func (x *exchange) answerKept() error {
	h := x.kept.header
	x.head = h
	if x.kept.rest {
		return x.passThrough(x.kept.body())
	}
	out, same := dialect.WrapError(x.kept.status, h.Get("Content-Type"), x.kept.body())
	if !same {
		h["Content-Type"] = jsonType
		h.Del("Etag")
		h.Del("Last-Modified")
	}
	x.settleAccount(x.kept.status, x.lastOutcome())
	x.writeWhole(x.kept.status, out)
	return nil
}

// decode 解开压缩的错误应答，判断与包装都要看里面；解不开就当作没有体，由 WrapError 说明状态。
func (k *kept) decode() {
	encoding := k.header.Get("Content-Encoding")
	if !meter.Encoded(encoding) {
		return
	}
	k.header.Del("Content-Encoding")
	k.buf.b, _ = decodeAll(encoding, k.buf.b, keptBytes)
}

func (x *exchange) usageIsOptional() bool {
	return x.permit.Target.Server.StreamUsage == state.StreamUsageAuto
}
