package segments

import (
	"cmp"
	"fmt"
	"slices"
)

// recover 认出目录里的段，验过每一帧，定下从哪里接着写。
func (l *Log) recover() error {
	list, err := l.find()
	if err != nil {
		return err
	}
	var known, headless []*found
	for _, f := range list {
		switch {
		case f.alias:
			l.ignore(f)
		case f.head == headerValid || f.named:
			known = append(known, f)
		case f.head == headerDamaged || !l.takeBlank(f):
			headless = append(headless, f)
		}
	}
	slices.SortFunc(known, func(a, b *found) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.number, b.number)) })
	for i, f := range known {
		f.limit = unlimited
		if i+1 < len(known) {
			f.limit = known[i+1].first - f.first
		}
		l.admit(f)
	}
	for _, f := range headless {
		l.adopt(f)
	}
	l.resume()
	if err := l.files.SyncDir(); err != nil { // 名字落不了盘，里面落了盘的也找不回来
		return fmt.Errorf("sync the directory: %w", err)
	}
	return nil
}

// find 映射全部名字像段的文件。
func (l *Log) find() ([]*found, error) {
	names, err := l.files.List()
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var list []*found
	var all []*segment
	for _, name := range names {
		n, ext, ok := parseName(name)
		if !ok {
			continue
		}
		l.names[name] = true
		m, err := l.files.Open(name)
		if err == nil {
			var f *found
			f, err = identify(name, n, ext, m)
			list, all = append(list, f), append(all, f.segment)
			l.bytes += int64(len(m.Data()))
			if l.number = max(l.number, f.number); ext == extAhead {
				l.number = max(l.number, n) // 名字也算用过
			}
		}
		if err != nil {
			l.retired = all // 由 unmap 拆掉
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return list, nil
}

// takeBlank 收下一个没有用过的文件：头一个留作下一段，其余删去。不是全空的返回 false。
func (l *Log) takeBlank(f *found) bool {
	if clean, err := f.zeroFrom(0, false); err != nil || !clean {
		return false
	}
	if l.ahead == nil && len(f.data) == l.cfg.SegmentBytes && f.mapping.Reserve() == nil {
		l.ahead = f.segment
		return true
	}
	l.note(l.discard([]*segment{f.segment}))
	return true
}

// admit 验一段，接在已有的后面。f.limit 是到下一段为止的序号数。
func (l *Log) admit(f *found) {
	if f.first < l.next { // 与前面重叠、序号是零：不是我们写的
		l.ignore(f)
		return
	}
	if l.newest != nil && f.first > l.next {
		l.addHole(Hole{First: l.next, Last: f.first - 1, Reason: "the frames before this segment are gone"})
	}
	f.verify()
	l.tally.recovered += f.readable
	l.newest, l.next = f, f.end()
	if f.count == 0 { // 它只说下一个序号是多少
		l.retired = append(l.retired, f.segment)
		return
	}
	l.segs = append(l.segs, f.segment)
	if f.readable < f.count {
		l.addHole(Hole{First: f.first + f.readable, Last: f.end() - 1, Reason: f.reason})
		l.note(l.rename(f.segment, badName(f.first)))
	}
}

// adopt 认领一个没有名字、段头又坏了的文件：头一帧正好接得上的是我们的，没有内容的删去，别的留着不动。
func (l *Log) adopt(f *found) {
	f.first, f.limit = l.next, unlimited
	if n, err := f.scan(1); err == nil && n == 1 {
		l.admit(f)
		return
	}
	if clean, err := f.zeroFrom(min(headerSize, len(f.data)), false); err == nil && clean {
		l.note(l.discard([]*segment{f.segment}))
		return
	}
	l.ignore(f)
}

// ignore 留着一个文件不动，也不算它的字节。
func (l *Log) ignore(f *found) {
	l.tally.ignored++
	l.bytes -= int64(len(f.mapping.Data()))
	l.note(f.mapping.Close())
}

// resume 接着写最新的一段：它得是好的，尾巴清干净，空间占足。做不到就不再写它，从下一段开始。
func (l *Log) resume() {
	f := l.newest
	l.newest = nil
	if f != nil && f.head == headerValid && f.readable == f.count {
		torn, err := f.cut()
		if torn {
			l.tally.torn++
		}
		if err != nil {
			l.note(fmt.Errorf("cannot continue %s: %w", f.name, err))
			l.suspectAll(f)
		} else if l.active = f.segment; f.count == 0 {
			l.retired = l.retired[:len(l.retired)-1] // 最新的空段总在最后
			l.segs = append(l.segs, f.segment)
		}
	}
	l.synced = l.next - 1
	if len(l.segs) > 0 {
		l.synced = l.segs[0].first - 1
	}
	if l.synced+1 < l.next { // 缓存里的也许还没有落盘
		l.dirty = true
		l.nudge()
	}
}

// suspectAll 在清尾巴没能落盘之后，不再碰那一段，里面的都算没有落盘。
func (l *Log) suspectAll(f *found) {
	if f.failed && f.count > 0 {
		f.synced = f.count
		l.tally.syncFailures++
		l.suspects = append(l.suspects, Hole{First: f.first, Last: f.end() - 1, Reason: l.tally.problem})
	}
}
