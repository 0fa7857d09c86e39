package upstreamtest

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// encoder 按 Content-Encoding 逐块编码；每块都冲刷，故客户端逐块解得出来。
type encoder struct {
	buf bytes.Buffer
	w   interface {
		io.WriteCloser
		Flush() error
	}
}

// newEncoder 的 name 已由 Behavior.validate 检查过；空串返回 nil。
func newEncoder(name string) *encoder {
	e := &encoder{}
	switch name {
	case "gzip":
		e.w = gzip.NewWriter(&e.buf)
	case "deflate":
		e.w = zlib.NewWriter(&e.buf)
	case "zstd":
		w, err := zstd.NewWriter(&e.buf, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(128<<10))
		if err != nil {
			panic(err) // 选项是常量
		}
		e.w = w
	case "br":
		e.w = brotli.NewWriterLevel(&e.buf, 4)
	default:
		return nil
	}
	return e
}

// encode 返回 p 编码后的字节，下次调用之前有效；last 时带上尾部。
func (e *encoder) encode(p []byte, last bool) ([]byte, error) {
	e.buf.Reset()
	if _, err := e.w.Write(p); err != nil {
		return nil, err
	}
	finish := e.w.Flush
	if last {
		finish = e.w.Close
	}
	if err := finish(); err != nil {
		return nil, err
	}
	return e.buf.Bytes(), nil
}
