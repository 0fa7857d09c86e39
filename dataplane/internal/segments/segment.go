package segments

import (
	"runtime/debug"
	"sort"
	"sync/atomic"
)

// segment 是一个映射着的段。除 tail 与 steps 由读者不拿锁地看，其余字段由 Log.mu 守着；name 要两把锁才改，有一把就能看。
type segment struct {
	number, first uint64
	name          string
	mapping       Mapping
	data          []byte

	tail  atomic.Int64 // 读得出的帧到哪里为止；写的人发布，读坏了的人往回缩
	steps steps

	count  uint64 // 占了多少个序号，连同读不出的
	synced uint64 // 其中头上多少个已落盘，或已报作没有落盘
	failed bool   // 落盘失败过：再也不碰它
	named  bool   // 名字已经是它头一帧的序号
	pins   int    // 有多少人正在用映射
	gone   bool   // 已从日志里除名：最后一个用完的人拆掉映射
}

func newSegment(name string, number uint64, m Mapping) *segment {
	data := m.Data()
	s := &segment{number: number, name: name, mapping: m, data: data[:len(data)&^(frameStep-1)]}
	s.tail.Store(headerSize)
	s.steps.init(len(s.data))
	return s
}

// end 是这一段之后的那个序号。
func (s *segment) end() uint64 { return s.first + s.count }

func (s *segment) fits(n int) bool { return int(s.tail.Load())+frameSize(n) <= len(s.data) }

// begin 使一个空白的段从 first 起收帧。
func (s *segment) begin(first uint64) (err error) {
	defer catchFault(s.data, &err, debug.SetPanicOnFault(true))
	s.first = first
	putHeader(s.data, header{number: s.number, first: first})
	return nil
}

// put 追加一帧并发布它；调用者看过 fits。出错时这一帧没有发布，这一段不可再写。
func (s *segment) put(n int, payload []byte, fill func([]byte)) (err error) {
	defer catchFault(s.data, &err, debug.SetPanicOnFault(true))
	off := int(s.tail.Load())
	end := putFrame(s.data, off, s.end(), n, payload, fill)
	putMark(s.data, uint32(s.count+1))
	s.steps.note(off, s.count)
	s.count++
	s.tail.Store(int64(end))
	return nil
}

// scan 从头验起，至多 limit 帧，返回读得出几帧，并使 tail 停在它们的末尾。
func (s *segment) scan(limit uint64) (n uint64, err error) {
	defer catchFault(s.data, &err, debug.SetPanicOnFault(true))
	off := headerSize
	for n < limit {
		_, end, ok := frameAt(s.data, off, s.first+n)
		if !ok {
			break
		}
		s.steps.note(off, n)
		off, n = end, n+1
		s.tail.Store(int64(off))
	}
	return n, nil
}

// steps 是稀疏的目录：每 stepBytes 字节里头一帧的位置。定长，追加时不分配。
type steps struct {
	list []step
	n    atomic.Int32
}

type step struct {
	off   uint32
	frame uint32 // 段内第几帧，从 0 起
}

const stepBytes = 64 << 10

func (t *steps) init(size int) { t.list = make([]step, size/stepBytes+1) }

// note 记下 off 处是段内第 frame 帧；次序必须是往后的。
func (t *steps) note(off int, frame uint64) {
	n := t.n.Load()
	if n > 0 && off/stepBytes == int(t.list[n-1].off)/stepBytes {
		return
	}
	t.list[n] = step{uint32(off), uint32(frame)}
	t.n.Store(n + 1)
}

// at 给出不晚于序号 index 的一处，与那里的序号。
func (t *steps) at(s *segment, index uint64) (off int, at uint64) {
	list := t.list[:t.n.Load()]
	i := sort.Search(len(list), func(i int) bool { return s.first+uint64(list[i].frame) > index })
	if i == 0 {
		return headerSize, s.first
	}
	return int(list[i-1].off), s.first + uint64(list[i-1].frame)
}
