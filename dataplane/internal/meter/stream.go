package meter

import (
	"bytes"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

const (
	// maxStrip 是用量块可能的最大字节数；再大的事件不会是它，不必扣着。
	maxStrip = 64 << 10
	// maxEvent 是肯为解析而留的最大事件；response.completed 里有整个答案，所以远大于 maxStrip。
	maxEvent = 4 << 20
	// headKept 是太大的事件留下来认类型的开头。
	headKept = 4 << 10
	// slack 容得下一个事件末尾的行尾，使上面的界限不因切法不同而不同。
	slack = 4
	// keptBuffer 是回池时肯留的缓冲。
	keptBuffer = 64 << 10
)

// Stream 是 SSE 的计量旁路。零值要先 Reset；属于一个请求，不可并发使用。
//
// 事件是到空行为止的一组行。没有走完的事件留一份在 held 里：剥用量块时它还没有传出去，否则只为解析。
type Stream struct {
	kind  dialect.StreamKind
	strip bool

	held     []byte // 没走完的事件已到的字节
	size     int    // 没走完的事件已到多少字节；超过 maxEvent 后大于 len(held)
	released bool   // held 已经传出去了（太大，不会是用量块）
	inLine   bool   // 当前行已有字节
	afterCR  bool   // 上一段以 CR 结尾：开头的 LF 属于它
	blankCR  bool   // 那个 CR 结束的是空行，即上一个事件的末尾
	dropped  bool   // 上一个事件被剥掉了
	begun    bool   // 已有事件走完（第一个可能带 BOM）

	out    outgoing
	joined []byte // 多行 data 拼起来

	verdict  Verdict
	unsure   bool // 最后一个事件太大没看完：不能说它不是终止
	finish   bool
	terminal bool
	content  bool

	sample   sample
	lastText textKind
	parallel bool
	reasoned bool
	fresh    bool // 这个事件报了用量
}

// Reset 让它从头开始。strip 为 true 时剥掉用量块，只对 dialect.Chunks 有效。
func (s *Stream) Reset(kind dialect.StreamKind, strip bool) {
	*s = Stream{
		kind: kind, strip: strip && kind == dialect.Chunks,
		held: reuse(s.held), joined: reuse(s.joined), out: outgoing{buf: reuse(s.out.buf)}, sample: sample{text: s.sample.text},
	}
	s.sample.reset(0)
}

func reuse(b []byte) []byte {
	if cap(b) > keptBuffer {
		return nil
	}
	return b[:0]
}

// Feed 看一段刚读到的字节，返回现在要传给客户端的字节。不剥用量块时就是 p 本身。
// 返回值到下一次 Feed、Finish 或 Reset 为止有效，p 在此之前不可改。
func (s *Stream) Feed(p []byte) []byte {
	if len(p) == 0 {
		return nil
	}
	s.out.start(p)
	from := s.leadingLF(p)
	l := newLines(p, from)
	if s.afterCR && from == 0 && p[0] == '\n' {
		l.i = 1
	}
	s.afterCR = false
	for {
		start, end, after, ok := l.next()
		if !ok {
			s.inLine = end > start
			break
		}
		blank := end == start && !s.inLine
		s.inLine = false
		if after == len(p) && p[after-1] == '\r' {
			s.afterCR, s.blankCR = true, blank
		}
		if blank {
			s.closeEvent(p, from, after)
			from = after
		}
	}
	s.hold(p, from)
	if !s.strip {
		return p
	}
	return s.out.bytes()
}

// leadingLF 处理属于上一段末尾 CR 的 LF：它若结束了上一个事件，就随那个事件去留。返回当前事件的字节从哪里起。
func (s *Stream) leadingLF(p []byte) int {
	if !s.afterCR || !s.blankCR || p[0] != '\n' {
		return 0
	}
	if !s.dropped {
		s.out.pass(0, 1)
	}
	return 1
}

// closeEvent 看完一个事件：held 加上 p[from:to]。
func (s *Stream) closeEvent(p []byte, from, to int) {
	event, before := p[from:to], len(s.held)
	if s.size > 0 {
		s.keep(event)
		event = s.held
	} else {
		s.size = len(event)
	}
	s.drop(event)
	if s.strip && !s.dropped {
		if !s.released {
			s.out.add(s.held[:before])
		}
		s.out.pass(from, to)
	}
	s.begun = true
	s.held, s.size, s.released = s.held[:0], 0, false
}

// drop 看一个事件，是用量块就剥掉，只留下不属于它的东西。
func (s *Stream) drop(event []byte) {
	s.dropped = s.event(event)
	if s.dropped {
		s.verdict.Stripped++
		s.leaveComments(event)
	}
}

// hold 留下没走完的事件 p[from:]。
func (s *Stream) hold(p []byte, from int) {
	if from == len(p) {
		return
	}
	before := len(s.held)
	s.keep(p[from:])
	if s.strip {
		switch {
		case s.released:
			s.out.pass(from, len(p))
		case s.size > maxStrip+slack:
			s.out.add(s.held[:before])
			s.out.pass(from, len(p))
			s.released = true
		}
	}
	// 有的客户端一见到这一行就停，不等空行：账要在传出它之前关。
	if s.size <= 32 && doneLine(s.held) {
		s.terminal = true
	}
}

func doneLine(b []byte) bool {
	value, ok := bytes.CutPrefix(bytes.TrimSpace(b), []byte("data:"))
	return ok && string(bytes.TrimSpace(value)) == done
}

// keep 把字节接进 held；太大之后只保证开头 headKept 个字节在。
func (s *Stream) keep(b []byte) {
	s.size += len(b)
	if s.size <= maxEvent+slack {
		s.held = append(s.held, b...)
	} else if n := len(s.held); n < headKept {
		s.held = append(s.held, b[:min(len(b), headKept-n)]...)
	}
}

// Finish 在上游结束（或断掉）之后调用一次：返回还扣着的字节与结论。末尾没有空行的事件也看。
func (s *Stream) Finish() (rest []byte, v Verdict) {
	s.out.start(nil)
	if s.size > 0 {
		s.drop(s.held)
		if s.strip && !s.dropped && !s.released {
			s.out.add(s.held)
		}
		s.held, s.size = s.held[:0], 0
	}
	return s.out.bytes(), s.Verdict()
}

// Verdict 给出此刻的结论，可随时调用（如客户端中途离开）。
func (s *Stream) Verdict() Verdict {
	v := s.verdict
	v.Whole = v.Whole || s.unsure || s.kind == dialect.Untyped
	return v
}

// TerminalSeen 说迄今喂进来的字节含终止事件（[DONE]、response.completed 等、错误事件）：传出这一段之前应关账。
// finish_reason 不算：用量块还在它后面。
func (s *Stream) TerminalSeen() bool { return s.terminal }

// ContentSeen 说已经见过第一个带内容的事件，即首个 token 到了。
func (s *Stream) ContentSeen() bool { return s.content }

// leaveComments 把被剥掉的事件里不属于它的东西传下去：注释行与流开头的 BOM。
func (s *Stream) leaveComments(event []byte) {
	body := event
	if !s.begun && bytes.HasPrefix(event, bom) {
		s.out.add(bom)
		body = event[len(bom):]
	}
	l := newLines(body, 0)
	for {
		start, end, after, ok := l.next()
		if !ok {
			after = end
		}
		comment := end > start && body[start] == ':'
		if comment || end == start && after < len(body) {
			s.out.add(body[start:after])
		}
		if !ok {
			return
		}
	}
}
