package ruleset

import "strings"

// Allows 说 model 是否合于 patterns 中的任何一个；空列表什么也不许。一次性的判断用它，热路径用 CompilePatterns。
func Allows(patterns []string, model string) bool {
	for _, p := range patterns {
		if Match(p, model) {
			return true
		}
	}
	return false
}

// Match 说 name 是否合于 pattern；只有 * 是通配（零个或多个任意字节），其余逐字节相等。
// 每一段取最左的出现，不回溯，不分配。
func Match(pattern, name string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	name = name[len(head):]
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(part):], next
	}
}

// Patterns 是编好的允许列表，供热路径用；零值与 nil 什么也不许。造好后只读。
type Patterns struct {
	all   bool
	exact map[string]struct{}
	globs []string
}

// CompilePatterns 把允许列表编成 Patterns；不保留入参。
func CompilePatterns(patterns []string) *Patterns {
	p := &Patterns{}
	for _, s := range patterns {
		switch {
		case s != "" && strings.Trim(s, "*") == "":
			p.all = true
		case strings.Contains(s, "*"):
			p.globs = append(p.globs, s)
		default:
			if p.exact == nil {
				p.exact = make(map[string]struct{})
			}
			p.exact[s] = struct{}{}
		}
	}
	return p
}

// Allows 与同名的函数判得一样；不分配。
func (p *Patterns) Allows(model string) bool {
	if p == nil {
		return false
	}
	if p.all {
		return true
	}
	if _, ok := p.exact[model]; ok {
		return true
	}
	return Allows(p.globs, model)
}
