package meter

const (
	// maxText 是一条流至多留着的文字（转义形式）；约两千个 token，多数回答都装得下。
	maxText = 8 << 10
	// textBlock 是抽样的一段有多长。
	textBlock = 256
	maxBlocks = maxText / textBlock
)

// sample 留着一条流的文字：装得下时是全部，装不下就隔一段留一段，越长隔得越开，总是从头到尾均匀的几段——
// 回答的文字前后可以很不一样，只留开头推不出后面。用 reset 开始。
type sample struct {
	text   []byte
	kept   int64
	base   int64            // 从第几个字节开始抽
	stride int64            // 每这么多段留一段
	last   int64            // 正在留的那一段
	starts [maxBlocks]int32 // 留着的各段在 text 里的开头
	n      int
}

func (s *sample) reset(base int64) {
	*s = sample{text: reuse(s.text), base: base, stride: 1, last: -1}
}

// add 收下一段文字；at 是在它之前一共有多少字节，apart 说它与前一段不相连。
func (s *sample) add(value []byte, at int64, apart bool) {
	block := (at - s.base) / textBlock
	if block%s.stride != 0 {
		return
	}
	if block != s.last {
		if s.n == maxBlocks || s.n > 1 && s.kept >= maxText {
			s.thin()
			if block%s.stride != 0 {
				return
			}
		}
		apart = apart || s.stride > 1
		s.last = block
		s.starts[s.n] = int32(len(s.text))
		s.n++
	}
	if len(value) > maxText {
		value = whole(value[:maxText])
	}
	if apart && len(s.text) > 0 {
		s.text = append(s.text, Separator)
	}
	s.text = append(s.text, value...)
	s.kept += int64(len(value))
}

// thin 隔一段去掉一段，此后也隔得加倍地开。
func (s *sample) thin() {
	s.stride *= 2
	out, n := 0, 0
	for i := 0; i < s.n; i += 2 {
		end := len(s.text)
		if i+1 < s.n {
			end = int(s.starts[i+1])
		}
		part := s.text[s.starts[i]:end]
		if out > 0 && part[0] != Separator {
			s.text[out] = Separator // 去掉的那一段至少有一个字节，腾得出地方
			out++
		}
		s.starts[n] = int32(out)
		out += copy(s.text[out:], part)
		n++
	}
	s.text, s.n = s.text[:out], n
	s.kept = 0
	for _, c := range s.text {
		if c != Separator {
			s.kept++
		}
	}
}
