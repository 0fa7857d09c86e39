package ruleset

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestValidName_AgreesWithTheContractsExpression(t *testing.T) {
	name := regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)
	key := regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$`)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[a-z0-9.A-Z_\-é ]{0,70}`).Draw(t, "s")
		if ValidName(s) != name.MatchString(s) {
			t.Fatalf("ValidName(%q) = %v", s, ValidName(s))
		}
		if ValidKeyName(s) != key.MatchString(s) {
			t.Fatalf("ValidKeyName(%q) = %v", s, ValidKeyName(s))
		}
	})
	for n := range 70 {
		s := strings.Repeat("a", n)
		if ValidName(s) != name.MatchString(s) || ValidKeyName(s) != key.MatchString(s) {
			t.Errorf("length %d", n)
		}
	}
}

func TestValidModelName(t *testing.T) {
	for _, s := range []string{"gpt-4o", "org/model:free", "模型 一号", "a b", strings.Repeat("a", 256)} {
		if !ValidModelName(s) {
			t.Errorf("%q refused", s)
		}
	}
	for _, s := range []string{"", " a", "a ", "a\tb", "a\x00", "a\u2028b", "a\u202eb", "\xff", "a\u00a0", strings.Repeat("a", 257)} {
		if ValidModelName(s) {
			t.Errorf("%q accepted", s)
		}
	}
}
