package segments

import (
	"encoding/binary"
	"testing"
)

// FuzzOpen：名字像段而内容任意的文件。打开从不崩溃；打得开就接着写得、读得回，再打开也一样。
func FuzzOpen(f *testing.F) {
	b := make([]byte, pageSize)
	putHeader(b, header{number: 1, first: 1})
	off := headerSize
	for i := range uint64(5) {
		off = putFrame(b, off, i+1, 11, []byte("hello there"), nil)
	}
	putMark(b, 5)
	second := make([]byte, pageSize)
	putHeader(second, header{number: 2, first: 6})
	f.Add(b, second, uint64(1), uint64(6), uint8(0))
	f.Add(b[:100], second[:10], uint64(1), uint64(2), uint8(3))
	f.Add(b, b, uint64(1), uint64(1), uint8(5))
	f.Add(b, second, uint64(1), uint64(6), uint8(0x80))
	f.Add(second, b[:200], uint64(2), uint64(1), uint8(0x80+5))
	f.Add([]byte{}, make([]byte, pageSize), uint64(9), uint64(9), uint8(9))
	f.Fuzz(func(t *testing.T, one, two []byte, n, m uint64, kind uint8) {
		name := func(n uint64, kind uint8) string {
			switch kind % 3 {
			case 0:
				return segmentName(n)
			case 1:
				return badName(n)
			}
			return aheadName(n)
		}
		files := memory{}
		files[name(n, kind)] = &plain{data: aligned(one, kind)}
		files[name(m, kind/3)] = &plain{data: aligned(two, kind)}
		l, err := Open("", Config{SegmentBytes: pageSize, Files: files})
		if err != nil {
			return
		}
		before := l.Stats()
		index, err := l.Append([]byte("new"))
		if err != nil || index != before.Last+1 {
			t.Fatalf("append: %d %v after %+v", index, err, before)
		}
		seen := read(t, l)
		if len(seen) == 0 || seen[len(seen)-1] != index {
			t.Fatalf("read %v, appended %d", seen, index)
		}
		l.syncAll()
		l.tidy()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := Open("", Config{SegmentBytes: pageSize, Files: files})
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if after := read(t, again); len(after) != len(seen) || again.Stats().Last != index {
			t.Fatalf("read %v, then %v; %+v", seen, after, again.Stats())
		}
	})
}

// aligned 给出一份 8 字节对齐的，映射总是这样；kind 的高位使段头的校验对得上，好走到更深处。
func aligned(b []byte, kind uint8) []byte {
	out := make([]byte, (len(b)+7)/8*8)
	copy(out, b)
	if kind >= 128 && len(out) >= headerSize {
		mark := binary.LittleEndian.Uint64(out[headerMark:])
		putHeader(out, header{number: binary.LittleEndian.Uint64(out[8:]), first: binary.LittleEndian.Uint64(out[16:])})
		putMark(out, uint32(mark))
	}
	return out
}

func read(t *testing.T, l *Log) (seen []uint64) {
	t.Helper()
	if err := l.Read(0, func(i uint64, _ []byte) bool {
		if len(seen) > 0 && i <= seen[len(seen)-1] {
			t.Fatalf("%d after %v", i, seen)
		}
		seen = append(seen, i)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return seen
}
