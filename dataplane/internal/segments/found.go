package segments

import (
	"fmt"
	"math"
	"runtime/debug"
)

// unlimited 说后面没有别的段。
const unlimited = math.MaxUint64

// found 是打开时找到的一个段。
type found struct {
	*segment
	head     headerState
	alias    bool   // 名字与段头各说各的
	limit    uint64 // 至多多少个序号：下一段从那里起
	readable uint64 // 头上多少帧读得出
	reason   string // 其后的为什么读不出
}

// identify 由段头与名字定下一个段是谁：头坏了就靠名字。
func identify(name string, n uint64, ext string, m Mapping) (f *found, err error) {
	f = &found{segment: newSegment(name, 0, m), head: headerBlank}
	defer catchFault(f.data, &err, debug.SetPanicOnFault(true))
	if f.named = ext != extAhead; f.named {
		f.first = n
	} else {
		f.number = n
	}
	if len(f.data) < headerSize {
		return f, nil
	}
	h, state, err := readHeader(f.data)
	if f.head = state; state == headerValid {
		f.number, f.first, f.alias = h.number, h.first, f.named && h.first != n
	}
	return f, err
}

// verify 数出读得出的帧，定下占了多少个序号。
func (f *found) verify() {
	n, err := f.scan(f.limit)
	f.readable, f.count = n, n
	if f.limit > n {
		f.count = min(max(n, f.used(n)), f.limit)
	}
	switch tail := int(f.tail.Load()); {
	case err != nil:
		f.reason = fmt.Sprintf("%s: %v", f.name, err)
	case f.lengthAt(tail) == 0:
		f.reason = fmt.Sprintf("%s: frames after offset %d never reached the disk", f.name, tail)
	default:
		f.reason = fmt.Sprintf("%s: damaged frame at offset %d", f.name, tail)
	}
}

// used 是这一段用过的序号数。计数坏了而读得出的之后还有东西，就按最多的算：用过的序号决不能再给别人。
func (f *found) used(n uint64) uint64 {
	if len(f.data) < headerSize || broken(bugIndexReused) {
		return n
	}
	most := n + uint64(len(f.data)-int(f.tail.Load()))/frameStep
	if count, ok := f.told(n, most); ok {
		return count
	}
	return most
}

// told 是看得出来的用过的序号数：段头里的计数，或者读得出的之后什么也没有。
func (f *found) told(n, most uint64) (count uint64, ok bool) {
	var err error
	defer catchFault(f.data, &err, debug.SetPanicOnFault(true)) // 取不来的页什么也没说
	if c, ok := readMark(f.data); ok && uint64(c) <= most {
		return uint64(c), true
	}
	clean, err := f.zeroFrom(int(f.tail.Load()), false)
	return n, clean && err == nil
}

// lengthAt 是 off 处的长度字；没有地方放一帧为 0。
func (f *found) lengthAt(off int) (n uint32) {
	var err error
	defer catchFault(f.data, &err, debug.SetPanicOnFault(true))
	if off+frameHead > len(f.data) {
		return 0
	}
	return *word(f.data, off)
}

// cut 使读得出的帧之后全是零，并占足空间；torn 说截掉的是一帧写了长度的。
// 清过的要落了盘才能接着写：否则断电之后，旧的尾巴会接在新的帧后面，又成了“读得出的”。
func (f *found) cut() (torn bool, err error) {
	tail := int(f.tail.Load())
	torn = f.lengthAt(tail) != 0
	if err := f.mapping.Reserve(); err != nil {
		return torn, err
	}
	if broken(bugTailKept) {
		return torn, nil
	}
	clean, err := f.zeroFrom(tail, true)
	if err != nil {
		return torn, err
	}
	defer catchFault(f.data, &err, debug.SetPanicOnFault(true))
	putMark(f.data, uint32(f.count))
	if !clean {
		err = f.sync(len(f.data))
		f.failed = err != nil
	}
	return torn, err
}

// zeroFrom 说 off 之后是不是全零；wipe 则使它全零。
func (s *segment) zeroFrom(off int, wipe bool) (clean bool, err error) {
	defer catchFault(s.data, &err, debug.SetPanicOnFault(true))
	at := off + firstNonZero(s.data[off:])
	if at == len(s.data) {
		return true, nil
	}
	if wipe {
		clear(s.data[at:])
	}
	return false, nil
}
