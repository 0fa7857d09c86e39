package gateway

import (
	"testing"
	"time"

	"github.com/vega-gateway/vega/proto/schedule"
)

func TestParsePatience(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "1": time.Millisecond, "30000": 30 * time.Second, "007": 7 * time.Millisecond,
		"99999999999999999999999999": longestPatience, "9223372036854775807": longestPatience,
	} {
		if got, ok := parsePatience(s); !ok || got != want {
			t.Errorf("%q: %v %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "-1", "+1", "1.5", "1e3", "1s", " 1", "0x10", "1_000", "∞"} {
		if got, ok := parsePatience(s); ok {
			t.Errorf("%q was taken for %v", s, got)
		}
	}
}

func TestAppendPlace_LeavesOutWhatIsUnknown(t *testing.T) {
	for want, p := range map[string]schedule.Place{
		": vega-queue position=3 wait_ms=1200\n\n": {Position: 3, Wait: 1200 * time.Millisecond},
		": vega-queue position=1 wait_ms=0\n\n":    {Position: 1},
		": vega-queue position=9\n\n":              {Position: 9, Wait: -1},
		": vega-queue\n\n":                         {Wait: -1},
	} {
		if got := string(appendPlace(nil, p)); got != want {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
}

func TestOneLine_KeepsTheValue(t *testing.T) {
	for in, want := range map[string]string{
		`{"error":{"message":"a b"}}`:                     `{"error":{"message":"a b"}}`,
		"{\n  \"error\": {\r\n\"message\": \"a\\nb\"}\n}": `{"error":{"message":"a\nb"}}`,
	} {
		if got := string(oneLine([]byte(in))); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
