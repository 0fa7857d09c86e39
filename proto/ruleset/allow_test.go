package ruleset

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// viaRegexp 是通配的另一种写法，作对照。
func viaRegexp(pattern, name string) bool {
	expr := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`)
	return regexp.MustCompile(`(?s)\A` + expr + `\z`).MatchString(name)
}

func TestMatch_AgreesWithARegularExpression(t *testing.T) {
	word := rapid.StringMatching(`[ab/*.\\]{0,8}`)
	rapid.Check(t, func(t *rapid.T) {
		pattern, name := word.Draw(t, "pattern"), rapid.StringMatching(`[ab/.\\]{0,12}`).Draw(t, "name")
		if got, want := Match(pattern, name), viaRegexp(pattern, name); got != want {
			t.Fatalf("Match(%q, %q) = %v, want %v", pattern, name, got, want)
		}
	})
}

func TestPatterns_AgreeWithAllows(t *testing.T) {
	list := rapid.SliceOfN(rapid.StringMatching(`[ab*]{0,5}`), 0, 5)
	rapid.Check(t, func(t *rapid.T) {
		patterns, name := list.Draw(t, "patterns"), rapid.StringMatching(`[ab]{0,6}`).Draw(t, "name")
		if got, want := CompilePatterns(patterns).Allows(name), Allows(patterns, name); got != want {
			t.Fatalf("%q %q: compiled %v, plain %v", patterns, name, got, want)
		}
	})
}

func TestAllows_EmptyListAllowsNothing(t *testing.T) {
	var none *Patterns
	if Allows(nil, "m") || CompilePatterns(nil).Allows("m") || none.Allows("m") || new(Patterns).Allows("m") {
		t.Error("an empty list allows something")
	}
}

func TestMatch_IsLinear(t *testing.T) {
	pattern := strings.Repeat("a*", 128) + "b"
	name := strings.Repeat("a", 100_000)
	start := time.Now()
	if Match(pattern, name) {
		t.Error("matched")
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %v", d)
	}
}

func TestPatterns_DoNotAllocate(t *testing.T) {
	p := CompilePatterns([]string{"gpt-*", "org/*/small", "exact"})
	if n := testing.AllocsPerRun(100, func() { p.Allows("org/x/small"); p.Allows("exact"); p.Allows("none") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPatternsAllows(b *testing.B) {
	p := CompilePatterns([]string{"gpt-*", "org/*/small", "exact"})
	b.ReportAllocs()
	for b.Loop() {
		p.Allows("org/team/small")
	}
}
