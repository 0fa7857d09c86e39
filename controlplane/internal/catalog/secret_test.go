package catalog

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestSecret_CannotBePrintedOrEncoded(t *testing.T) {
	const text = "hunter2-hunter2"
	type holder struct{ S Secret }
	s := NewSecret(text)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{s, &s, holder{s}, &Credential{Secret: s}, []Secret{s}} {
			if got := fmt.Sprintf(format, v); strings.Contains(got, "hunter") || strings.Contains(got, "68756e746572") {
				t.Errorf("%s of %T shows %s", format, v, got)
			}
		}
	}
	if b, err := json.Marshal(holder{s}); err == nil {
		t.Errorf("encoded as %s", b)
	}
	if s.Reveal() != text || s.Empty() || !NewSecret("").Empty() {
		t.Error("Reveal or Empty")
	}
}

func TestHint_ShowsNothingOfAShortSecret(t *testing.T) {
	if hintOf("short") != "" || hintOf("sk-upstream-wxyz") != "wxyz" {
		t.Error("hint")
	}
}
