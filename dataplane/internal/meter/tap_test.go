package meter

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type flusher interface {
	io.WriteCloser
	Flush() error
}

func encoder(t testing.TB, coding string, w io.Writer) flusher {
	t.Helper()
	switch coding {
	case "gzip":
		return gzip.NewWriter(w)
	case "deflate":
		return zlib.NewWriter(w)
	case "raw deflate":
		f, err := flate.NewWriter(w, 6)
		if err != nil {
			t.Fatal(err)
		}
		return f
	case "br":
		return brotli.NewWriter(w)
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// encode 压缩，每段之后冲刷一次；parts 是每次冲刷得到的字节，最后一段是收尾。
func encode(t testing.TB, coding string, chunks ...string) (parts [][]byte) {
	var b bytes.Buffer
	w := encoder(t, coding, &b)
	take := func() {
		parts = append(parts, bytes.Clone(b.Bytes()))
		b.Reset()
	}
	for _, c := range chunks {
		if _, err := io.WriteString(w, c); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		take()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	take()
	return parts
}

var codingsUnderTest = map[string]string{"gzip": "gzip", "deflate": "deflate", "raw deflate": "deflate", "br": "br", "zstd": "zstd"}

func TestTap_EventsAreSeenWithTheReadThatHoldsThem(t *testing.T) {
	for coding, header := range codingsUnderTest {
		var s Stream
		s.Reset(dialect.Chunks, false)
		tap, ok := NewTap(header, Limits{}, func(p []byte) { s.Feed(p) })
		if !ok {
			t.Fatalf("%s: not decodable", coding)
		}
		parts := encode(t, coding, roleChunk, finishChunk, usageChunk, doneChunk)
		for i, p := range parts {
			tap.Feed(p)
			if got, want := s.Verdict().Events, int64(min(i+1, 4)); got != want {
				t.Errorf("%s: %d events after part %d", coding, got, i)
			}
			if s.TerminalSeen() != (i >= 3) {
				t.Errorf("%s: terminal %v after part %d", coding, s.TerminalSeen(), i)
			}
		}
		if _, v := s.Finish(); !tap.Finish() || v.Usage != chatUsage || !v.Whole {
			t.Errorf("%s: %+v", coding, v)
		}
		tap.Close()
		tap.Close()
	}
}

func TestTap_AnySplitDecodesTheSame(t *testing.T) {
	want := strings.Repeat("some text, some more 文字; ", 5000)
	for coding, header := range codingsUnderTest {
		for _, most := range []int{1, 7, 5000} {
			var got bytes.Buffer
			tap, _ := NewTap(header, Limits{}, func(p []byte) { got.Write(p) })
			for b := bytes.Join(encode(t, coding, want), nil); len(b) > 0; {
				n := min(len(b), 1+rand.IntN(most))
				p := bytes.Clone(b[:n])
				tap.Feed(p)
				clear(p)
				b = b[n:]
			}
			if !tap.Finish() || got.String() != want {
				t.Errorf("%s by %d: %d bytes", coding, most, got.Len())
			}
			tap.Close()
		}
	}
}

func TestTap_BadDataOnlyGivesUpMetering(t *testing.T) {
	for coding, header := range codingsUnderTest {
		whole := bytes.Join(encode(t, coding, strings.Repeat("abc def ", 900)), nil)
		for name, data := range map[string][]byte{"cut": whole[:len(whole)/2], "garbage": []byte("\x1f\x8b\xff\xff this is not compressed at all"), "empty": nil} {
			tap, _ := NewTap(header, Limits{}, func([]byte) {})
			tap.Feed(data)
			tap.Feed([]byte("more"))
			if ok := tap.Finish(); ok && name != "empty" {
				t.Errorf("%s %s: decoded", coding, name)
			}
			tap.Close()
		}
	}
}

func TestTap_PanicInTheSinkStaysInside(t *testing.T) {
	tap, _ := NewTap("gzip", Limits{}, func([]byte) { panic("boom") })
	defer tap.Close()
	for _, p := range encode(t, "gzip", "hello") {
		tap.Feed(p)
	}
	if tap.Finish() {
		t.Fatal("metering should be given up")
	}
}

func TestTap_BombIsBounded(t *testing.T) {
	bomb := strings.Repeat("\x00", 16<<20)
	for coding, header := range codingsUnderTest {
		parts := encode(t, coding, bomb)
		for _, lim := range []Limits{{MaxBytes: 2 << 20, MaxRatio: 1 << 30}, {MaxRatio: 20}} {
			total := 0
			tap, _ := NewTap(header, lim, func(p []byte) { total += len(p) })
			for _, p := range parts {
				tap.Feed(p)
			}
			if tap.Finish() || total > 8<<20 {
				t.Errorf("%s %+v: %d bytes came out", coding, lim, total)
			}
			tap.Close()
		}
	}
}

func TestTap_CloseBeforeTheEndLeaksNothing(t *testing.T) {
	for _, header := range codingsUnderTest {
		unused, _ := NewTap(header, Limits{}, func([]byte) {})
		unused.Close()
		half, _ := NewTap(header, Limits{}, func([]byte) {})
		half.Feed([]byte{0x1f, 0x8b})
		half.Close()
		half.Feed([]byte("ignored"))
	}
	if _, ok := NewTap("compress", Limits{}, nil); ok {
		t.Error("an unknown coding was taken")
	}
}

func TestNewReader_DecodesStackedCodings(t *testing.T) {
	const want = "hello hello hello"
	inner := bytes.Join(encode(t, "gzip", want), nil)
	outer := bytes.Join(encode(t, "br", string(inner)), nil)
	r, err := NewReader("gzip, identity, BR", iotest.OneByteReader(bytes.NewReader(outer)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || string(got) != want {
		t.Fatalf("%q %v", got, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 1)); err == nil {
		t.Fatal("read after close")
	}
}

func TestNewReader_RefusesBombsAndUnknownCodings(t *testing.T) {
	bomb := bytes.Join(encode(t, "gzip", strings.Repeat("\x00", 8<<20)), nil)
	r, err := NewReader("gzip", bytes.NewReader(bomb), Limits{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, errExpansion) || n > 1<<20 {
		t.Fatalf("%d %v", n, err)
	}
	for _, ce := range []string{"compress", "gzip, x", "gzip,gzip,gzip,gzip"} {
		if _, err := NewReader(ce, nil, Limits{}); err == nil || Decodable(ce) {
			t.Errorf("%q was taken", ce)
		}
	}
	plain, _ := NewReader("", strings.NewReader("plain"), Limits{})
	if got, err := io.ReadAll(plain); string(got) != "plain" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

func TestAccepts_ReadsQualities(t *testing.T) {
	for _, c := range []struct {
		accept, coding string
		want           bool
	}{
		{"", "", true}, {"", "identity", true}, {"", "gzip", false}, {"gzip", "gzip", true}, {"gzip", "x-gzip", true}, {"gzip;q=0", "gzip", false}, {"br, GZIP ; q=0.5", "gzip", true},
		{"*", "zstd", true}, {"*;q=0", "gzip", false}, {"*, gzip;q=0", "gzip", false}, {"gzip", "gzip, br", false}, {"br,gzip", "gzip, br", true}, {"deflate", "gzip", false},
	} {
		if got := Accepts(c.accept, c.coding); got != c.want {
			t.Errorf("Accepts(%q, %q) = %v", c.accept, c.coding, got)
		}
	}
	if Encoded("") || Encoded("identity") || !Encoded("gzip") {
		t.Error("Encoded")
	}
}
