package segments

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestOpen_ContinuesWhereItStopped(t *testing.T) {
	d := newDisk(t)
	var last uint64
	for range 20 {
		l := open(t, d, small())
		all(t, l, 1, last)
		last = add(t, l, 37)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l := open(t, d, small())
	all(t, l, 1, last)
	if st := l.Stats(); st.Recovered != last || st.Bytes != int64(len(d.live))*pageSize || st.Torn+st.Ignored != 0 {
		t.Errorf("%+v, %d files", st, len(d.live))
	}
}

func TestOpen_ReusesTheSpareAndRemovesOthers(t *testing.T) {
	d := newDisk(t)
	for i := range 4 {
		d.put(aheadName(uint64(i+1)), make([]byte, pageSize))
	}
	d.put(aheadName(9), nil) // 死在建文件与占空间之间
	l := open(t, d, small())
	if len(d.live) != 1 || d.count("create") != 0 || !l.Stats().Ready || l.Stats().Bytes != pageSize {
		t.Errorf("files %v, %+v", slices.Collect(maps.Keys(d.live)), l.Stats())
	}
	all(t, l, 1, add(t, l, 3))
}

func TestOpen_LeavesForeignFilesAlone(t *testing.T) {
	d := newDisk(t)
	foreign := []string{"lock", "1.seg", "00000000000000000001.seg.tmp", "0000000000000000000x.seg", "00000000000000000000.seg", "99999999999999999999.bad"}
	for _, name := range foreign {
		d.put(name, []byte("not ours"))
	}
	l := open(t, d, small())
	last := add(t, l, 200)
	l.syncAll()
	l.tidy()
	if err := l.Drop(last + 1); err != nil {
		t.Fatal(err)
	}
	for _, name := range foreign {
		if f := d.live[name]; f == nil || string(f.live) != "not ours" {
			t.Errorf("%s was touched", name)
		}
	}
}

func TestOpen_RefusesAnUnknownVersionAndTouchesNothing(t *testing.T) {
	d := newDisk(t)
	l := open(t, d, small())
	add(t, l, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, f := range d.live {
		if f.live[0] != 0 {
			f.live[len(magic)] = version + 1
			resum(f.live)
		}
	}
	before := contents(d)
	_, err := Open("", Config{SegmentBytes: pageSize, Files: d})
	if err == nil || !strings.Contains(err.Error(), "unknown format version 2") {
		t.Fatal(err)
	}
	if after := contents(d); !maps.Equal(before, after) || d.mapped() != 0 {
		t.Errorf("changed, or %d still mapped", d.mapped())
	}
}

func resum(data []byte) {
	sum := header{number: binary.LittleEndian.Uint64(data[8:]), first: binary.LittleEndian.Uint64(data[16:])}
	v := data[len(magic)]
	mark := binary.LittleEndian.Uint64(data[headerMark:])
	putHeader(data, sum)
	data[len(magic)] = v
	binary.LittleEndian.PutUint64(data[headerMark:], mark)
	binary.LittleEndian.PutUint32(data[headerSum:], sumOf(data[:headerSum]))
}

func contents(d *fakeDisk) map[string]string {
	m := make(map[string]string)
	for name, f := range d.live {
		m[name] = string(f.live)
	}
	return m
}

// TestOpen_TornTailAtEveryByte：最后几帧的每一个字节处断开（其后全零，像没有落盘的页），前面的都在，丢的都有数，序号不重用。
func TestOpen_TornTailAtEveryByte(t *testing.T) {
	d := newDisk(t)
	l := open(t, d, small())
	last := add(t, l, 12)
	data := append([]byte(nil), l.active.data...)
	ends := frameEnds(data)
	cut := 0
	for at := ends[5]; at <= ends[11]; at++ {
		torn := append([]byte(nil), data...)
		clear(torn[at:])
		after := newDisk(t)
		after.put(segmentName(1), torn)
		l := open(t, after, small())
		whole := uint64(0)
		for whole < 12 && ends[whole] <= at {
			whole++
		}
		if got := uint64(len(indexes(t, l, 1))); got < whole { // 末尾的零可以本来就是零
			t.Fatalf("cut at %d: %d frames, want at least %d", at, got, whole)
		}
		lost := accounted(t, l, 1, last)
		if next := addOne(t, l); next != last+1 {
			t.Fatalf("cut at %d: the next index is %d", at, next)
		}
		again := open(t, after.copied(), small())
		if got := accounted(t, again, 1, last+1); got != lost {
			t.Fatalf("cut at %d: %d lost, then %d", at, lost, got)
		}
		cut++
	}
	fmt.Printf("figures: segments-torn-tail offsets=%d frames=12 reused_indexes=0 wrong_payloads=0\n", cut)
}

func frameEnds(data []byte) (ends []int) {
	off := headerSize
	for i := uint64(1); ; i++ {
		_, end, ok := frameAt(data, off, i)
		if !ok {
			return ends
		}
		ends = append(ends, end)
		off = end
	}
}

// TestOpen_EveryFlippedByteIsSeenOrHarmless：三段的每个字节、以几种方式翻转。每一帧要么原样读出，要么在洞里；从不给出别的内容，也不重用序号。
func TestOpen_EveryFlippedByteIsSeenOrHarmless(t *testing.T) {
	d := newDisk(t)
	l := open(t, d, small())
	last := add(t, l, 150)
	l.syncAll()
	l.tidy()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole := contents(d)
	flips, holes := 0, 0
	for name, b := range whole {
		for at := 0; at < len(b); at++ {
			if at > headerSize+2*frameStep && at%7 != 0 && b[at] == 0 && testing.Short() {
				continue
			}
			for _, mask := range []byte{0x01, 0x80, 0xFF} {
				flips++
				if flipped(t, whole, name, at, mask, last) {
					holes++
				}
			}
		}
		if t.Failed() {
			return
		}
	}
	fmt.Printf("figures: segments-flips flipped=%d detected=%d harmless=%d wrong_payloads=0\n", flips, holes, flips-holes)
}

func flipped(t *testing.T, whole map[string]string, name string, at int, mask byte, last uint64) (hole bool) {
	t.Helper()
	files := memory{}
	for n, b := range whole {
		files[n] = &plain{data: []byte(b)}
	}
	files[name].data[at] ^= mask
	l, err := Open("", Config{SegmentBytes: pageSize, Files: files})
	if err != nil {
		t.Fatalf("%s byte %d ^ %#x: %v", name, at, mask, err)
	}
	defer l.Close()
	lost := accounted(t, l, 1, last)
	if st := l.Stats(); st.Last < last {
		t.Fatalf("%s byte %d ^ %#x: index %d would be used again, %+v", name, at, mask, st.Last+1, st)
	}
	if t.Failed() {
		t.Fatalf("%s byte %d ^ %#x", name, at, mask)
	}
	return lost > 0
}

// TestOpen_QuarantineKeepsThePrefixAndStaysKnown：坏在中间的段改名 .bad，前面的帧仍然读得出，再打开还是同一个洞。
func TestOpen_QuarantineKeepsThePrefixAndStaysKnown(t *testing.T) {
	d := newDisk(t)
	l := open(t, d, small())
	last := add(t, l, 150)
	l.syncAll()
	l.tidy()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	d.live[segmentName(1)].live[frameEnds(d.live[segmentName(1)].live)[9]+frameHead] ^= 1
	var holes []Hole
	for range 3 {
		l := open(t, d, small())
		if d.live[badName(1)] == nil || d.live[segmentName(1)] != nil {
			t.Fatal("not quarantined")
		}
		got := l.Holes()
		if len(got) != 1 || got[0].First != 11 || holes != nil && (got[0].First != holes[0].First || got[0].Last != holes[0].Last) {
			t.Fatalf("holes %v, then %v", holes, got)
		}
		holes = got
		accounted(t, l, 1, last)
		if st := l.Stats(); st.Lost != got[0].Last-got[0].First+1 || st.Last != last {
			t.Errorf("%+v", st)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l = open(t, d, small())
	if err := l.Drop(holes[0].Last + 1); err != nil || d.live[badName(1)] != nil || len(l.Holes()) != 0 {
		t.Errorf("%v, holes %v", err, l.Holes())
	}
	all(t, l, holes[0].Last+1, last)
}

func TestOpen_AMissingSegmentIsAHole(t *testing.T) {
	d := newDisk(t)
	l := open(t, d, small())
	last := add(t, l, 300)
	l.syncAll()
	l.tidy()
	second, third := l.segs[1], l.segs[2]
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	delete(d.live, second.name)
	l = open(t, d, small())
	h := l.Holes()
	if len(h) != 1 || h[0].First != second.first || h[0].Last != third.first-1 || !strings.Contains(h[0].Reason, "gone") {
		t.Errorf("holes %v", h)
	}
	accounted(t, l, 1, last)
	if d.live[badName(1)] != nil {
		t.Error("a whole segment was quarantined")
	}
}

// TestOpen_OldTailNeverComesBack：断电丢了中间的一页，后面的帧还在盘上。接着写到同样的位置，旧的帧也不会再出现。
func TestOpen_OldTailNeverComesBack(t *testing.T) {
	b := make([]byte, pageSize)
	putHeader(b, header{number: 1, first: 1})
	off := headerSize
	for i := range uint64(10) {
		off = putFrame(b, off, i+1, 8, []byte("previous"), nil)
	}
	third := headerSize + 2*frameSize(8)
	clear(b[third : third+frameHead]) // 第三帧的头没有落盘，计数也没有
	for round, crash := range []func(*fakeDisk) *fakeDisk{
		(*fakeDisk).copied,
		func(d *fakeDisk) *fakeDisk { return d.powerLoss(rand.New(rand.NewPCG(1, 2)), 0) },
	} {
		d := newDisk(t)
		d.put(segmentName(1), b)
		l := open(t, d, small())
		if index, err := l.Append([]byte("nextgen ")); err != nil || index != 3 {
			t.Fatal(index, err)
		}
		l.syncAll()
		after := open(t, crash(d), small())
		var got []string
		if err := after.Read(1, func(_ uint64, p []byte) bool { got = append(got, string(p)); return true }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, []string{"previous", "previous", "nextgen "}) {
			t.Errorf("round %d: %q", round, got)
		}
	}
}

// TestOpen_ASegmentThatCannotBeReservedIsNotWritten：空洞补不齐的文件写下去会在盘满时出 SIGBUS，所以从新段开始。
func TestOpen_ASegmentThatCannotBeReservedIsNotWritten(t *testing.T) {
	d := newDisk(t)
	l := open(t, d, small())
	add(t, l, 5)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	d.failing(failOn("reserve", errSparse))
	l = open(t, d, small())
	before := bytes.Clone(l.segs[0].data)
	all(t, l, 1, add(t, l, 5))
	if !bytes.Equal(before, l.segs[0].data) || l.Stats().Segments != 2 {
		t.Errorf("%+v", l.Stats())
	}
}

// TestOpen_AnEmptyNewestSegmentStillKeepsTheNumbering：别的都删了、它又写不得，下一个序号还是知道的。
func TestOpen_AnEmptyNewestSegmentStillKeepsTheNumbering(t *testing.T) {
	for _, op := range []string{"", "reserve"} {
		b := make([]byte, pageSize)
		putHeader(b, header{number: 7, first: 500})
		d := newDisk(t)
		d.put(segmentName(500), b)
		d.failing(failOn(op, errSparse))
		for range 2 {
			l := open(t, d, small())
			if st := l.Stats(); st.Last != 499 || st.Synced != 499 {
				t.Fatalf("%q: %+v", op, st)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		l := open(t, d, small())
		all(t, l, 500, add(t, l, 1))
		l.syncAll()
		l.tidy()
		l.tidy()
		all(t, open(t, d.copied(), small()), 500, 500)
		if n := len(d.live); n != 2 || l.Stats().Bytes != 2*pageSize {
			t.Errorf("%q: %d files, %+v", op, n, l.Stats())
		}
	}
}
