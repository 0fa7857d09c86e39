package meter

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Limits 约束解压，防膨胀炸弹；零值取默认。
type Limits struct {
	MaxBytes int64 // 解出的总字节上限；0 为 256 MiB
	MaxRatio int64 // 解出与压缩字节之比的上限，另给 1 MiB 余量；0 为 200
}

const (
	defaultMaxBytes = 256 << 20
	defaultMaxRatio = 200
	ratioSlack      = 1 << 20
	maxCodings      = 3       // 叠在一起的编码最多几层
	maxWindow       = 8 << 20 // zstd 窗口的上限（RFC 9659 给 HTTP 定的就是 8 MiB）
)

var (
	errExpansion = errors.New("decoded size exceeds the limit")
	errCoding    = errors.New("unknown content coding")
)

// codings 把 Content-Encoding 的值拆成编码名，小写，去掉 identity；次序是施加的次序。
func codings(contentEncoding string) []string {
	var list []string
	for item := range strings.SplitSeq(contentEncoding, ",") {
		if name := strings.ToLower(strings.TrimSpace(item)); name != "" && name != "identity" {
			list = append(list, name)
		}
	}
	return list
}

// Encoded 说 Content-Encoding 的值里有真的编码（不是空也不是 identity）。
func Encoded(contentEncoding string) bool {
	return contentEncoding != "" && len(codings(contentEncoding)) > 0
}

// Decodable 说解得开这个 Content-Encoding 的值：gzip、x-gzip、deflate、zstd、br，可用逗号叠至多三层；没有编码也算。
func Decodable(contentEncoding string) bool {
	list := codings(contentEncoding)
	for _, name := range list {
		switch name {
		case "gzip", "x-gzip", "deflate", "zstd", "br":
		default:
			return false
		}
	}
	return len(list) <= maxCodings
}

// Accepts 说客户端的 Accept-Encoding 允许把这个 Content-Encoding 原样交给它。
// 没有 Accept-Encoding 时只有 identity 可以：不说自己会解的客户端多半不会。
func Accepts(acceptEncoding, contentEncoding string) bool {
	for _, name := range codings(contentEncoding) {
		if !accepts(acceptEncoding, name) {
			return false
		}
	}
	return true
}

func accepts(acceptEncoding, name string) bool {
	others := false
	for item := range strings.SplitSeq(acceptEncoding, ",") {
		coding, params, _ := strings.Cut(item, ";")
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case strings.TrimPrefix(name, "x-"):
			return !refused(params)
		case "*":
			others = !refused(params)
		}
	}
	return others
}

// refused 认出 q=0。
func refused(params string) bool {
	key, value, ok := strings.Cut(strings.TrimSpace(params), "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(key), "q") {
		return false
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err == nil && q <= 0
}

// NewReader 给出解压后的读者，给不接受该编码的客户端，或者要剥用量块的流用。
// 解出多少就给多少，不等填满；超过 Limits 或数据坏了读出错误。Close 只关解码器，不关 r。
func NewReader(contentEncoding string, r io.Reader, lim Limits) (io.ReadCloser, error) {
	if !Decodable(contentEncoding) {
		return nil, errCoding
	}
	in := &counter{r: r}
	c := &chain{in: in, r: in, lim: lim.withDefaults()}
	list := codings(contentEncoding)
	for i := len(list) - 1; i >= 0; i-- {
		c.r = &lazy{open: opener(list[i]), src: c.r, chain: c}
	}
	return c, nil
}

func (l Limits) withDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = defaultMaxBytes
	}
	if l.MaxRatio <= 0 {
		l.MaxRatio = defaultMaxRatio
	}
	return l
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// chain 是叠好的解码器，外加膨胀的上限。
type chain struct {
	in     *counter
	r      io.Reader
	lim    Limits
	total  int64
	closes []func()
	err    error
}

func (c *chain) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	c.total += int64(n)
	if c.total > c.lim.MaxBytes || c.total-ratioSlack > c.in.n*c.lim.MaxRatio {
		n, err = 0, errExpansion
	}
	c.err = err
	return n, err
}

func (c *chain) Close() error {
	for _, f := range c.closes {
		f()
	}
	c.closes = nil
	if c.err == nil {
		c.err = io.ErrClosedPipe
	}
	return nil
}

// lazy 到第一次读才打开解码器：打开就要读头，而头可能还没到。
type lazy struct {
	open  func(io.Reader) (io.Reader, func(), error)
	src   io.Reader
	chain *chain
	r     io.Reader
}

func (l *lazy) Read(p []byte) (int, error) {
	if l.r == nil {
		r, done, err := l.open(l.src)
		if err != nil {
			return 0, err
		}
		l.r = r
		if done != nil {
			l.chain.closes = append(l.chain.closes, done)
		}
	}
	return l.r.Read(p)
}

func opener(name string) func(io.Reader) (io.Reader, func(), error) {
	switch name {
	case "zstd":
		return openZstd
	case "br":
		return func(r io.Reader) (io.Reader, func(), error) { return brotli.NewReader(r), nil, nil }
	case "deflate":
		return openDeflate
	}
	return func(r io.Reader) (io.Reader, func(), error) {
		z, err := gzip.NewReader(r)
		return z, nil, err
	}
}

// openZstd 用同步的解码器：不起协程，读多少解多少。
func openZstd(r io.Reader) (io.Reader, func(), error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, nil, err
	}
	return z, z.Close, nil
}

// openDeflate 认 zlib 的头；没有头的是裸的 deflate，有些服务器把两者混为一谈。
func openDeflate(r io.Reader) (io.Reader, func(), error) {
	b := bufio.NewReader(r)
	head, err := b.Peek(2)
	if err != nil {
		if len(head) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, nil, err
	}
	if head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		z, err := zlib.NewReader(b)
		return z, nil, err
	}
	return flate.NewReader(b), nil, nil
}
