package segments

import (
	"slices"
	"testing"
)

// TestRead_VerifiesAgainAndNamesWhatItCannotGive：打开之后才坏的，读到时看得见：报一次，跳到下一段，正在写的段也封住。
func TestRead_VerifiesAgainAndNamesWhatItCannotGive(t *testing.T) {
	for _, newest := range []bool{false, true} {
		d := newDisk(t)
		var events []Event
		cfg := small()
		cfg.Notify = func(e Event) { events = append(events, e) }
		l := open(t, d, cfg)
		last := add(t, l, 100)
		l.tidy()
		s := l.segs[0]
		if newest {
			s = l.active
		}
		s.data[frameEnds(shifted(s))[3]+frameHead] ^= 0x10
		want := Hole{First: s.first + 4, Last: s.end() - 1}
		var missing []uint64
		for i := want.First; i <= want.Last; i++ {
			missing = append(missing, i)
		}
		for range 2 {
			got := indexes(t, l, 1)
			if uint64(len(got)) != last-uint64(len(missing)) || slices.Contains(got, want.First) {
				t.Fatalf("newest %t: %d frames", newest, len(got))
			}
		}
		h := l.Holes()
		if len(h) != 1 || h[0].First != want.First || h[0].Last != want.Last || len(events) != 1 || events[0].Kind != Damaged || events[0].First != want.First {
			t.Errorf("newest %t: holes %v, events %v, want %v", newest, h, events, want)
		}
		if next := addOne(t, l); next != last+1 || l.active == s {
			t.Errorf("newest %t: %d goes into the damaged segment", newest, next)
		}
		accounted(t, l, 1, last+1)
	}
}

// shifted 是 s 的内容，帧的校验改成从序号 1 起，给 frameEnds 用。
func shifted(s *segment) []byte {
	b := slices.Clone(s.data)
	off := headerSize
	for i := range s.count {
		p, _, ok := frameAt(s.data, off, s.first+i)
		if !ok {
			break
		}
		off = putFrame(b, off, i+1, len(p), p, nil)
	}
	return b
}

func TestRead_StopsWhenToldAndStartsAnywhere(t *testing.T) {
	l := open(t, newDisk(t), Config{SegmentBytes: 1 << 20, Quota: 8 << 20})
	last := add(t, l, 30_000)
	for from := uint64(1); from <= last; from += 997 {
		n := 0
		if err := l.Read(from, func(i uint64, _ []byte) bool {
			if i != from+uint64(n) {
				t.Fatalf("%d where %d was expected", i, from+uint64(n))
			}
			n++
			return n < 3
		}); err != nil || n != 3 && from+2 <= last {
			t.Fatal(n, err)
		}
	}
}

// TestRead_SeesWhatIsAppendedWhileItReads：读到一半时写的，只要已经发布，这一遍就读得到；yield 里不能追加，所以由别的 goroutine 写。
func TestRead_SeesWhatIsAppendedWhileItReads(t *testing.T) {
	l := open(t, newDisk(t), small())
	add(t, l, 10)
	n := uint64(0)
	if err := l.Read(1, func(i uint64, _ []byte) bool {
		n = i
		if i <= 500 {
			done := make(chan struct{})
			go func() { addOne(t, l); close(done) }()
			<-done
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if n != 510 {
		t.Errorf("read to %d", n)
	}
}
