package live

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestRates_AreTheDifferenceOverAboutTenSeconds(t *testing.T) {
	var r ring
	if got := r.rates(); got != (Rates{}) {
		t.Fatalf("nothing was sampled: %+v", got)
	}
	r.add(Totals{At: noon, Requests: 1000})
	if got := r.rates(); got != (Rates{}) {
		t.Fatalf("one sample says no rate: %+v", got)
	}
	for i := 1; i <= 60; i++ {
		n := int64(i)
		r.add(Totals{At: noon.Add(time.Duration(i) * time.Second), Requests: 1000 + 5*n, Errors: 2 * n, Refused: n, PromptTokens: 300 * n, CompletionTokens: 40 * n})
		want := time.Duration(min(i, 10)) * time.Second
		if got := r.rates(); got != (Rates{Window: want, Requests: 5, Errors: 2, Refused: 1, PromptTokens: 300, CompletionTokens: 40}) {
			t.Fatalf("after %d s: %+v", i, got)
		}
	}
	if len(r.samples) > 17 {
		t.Errorf("%d samples are kept", len(r.samples))
	}
}

func TestRates_StartOverAfterAPauseAndWhenTheClockTurnsBack(t *testing.T) {
	for name, next := range map[string]time.Time{"a pause": noon.Add(time.Minute), "an earlier clock": noon.Add(-time.Hour)} {
		var r ring
		r.add(Totals{At: noon, Requests: 1})
		r.add(Totals{At: next, Requests: 500})
		if got := r.rates(); got != (Rates{}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestRates_AreNeverNegative(t *testing.T) {
	var r ring
	r.add(Totals{At: noon, Requests: 100, Errors: 1})
	r.add(Totals{At: noon.Add(time.Second), Requests: 90, Errors: 3})
	if got := r.rates(); got.Requests != 0 || got.Errors != 2 {
		t.Errorf("%+v", got)
	}
}

func TestRates_TheAnchorStaysForAllSamplesAndMovesWhenItIsOld(t *testing.T) {
	var r ring
	first := r.anchor(noon)
	if want := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC); !first.Equal(want) {
		t.Fatalf("%v", first)
	}
	r.add(Totals{At: noon})
	if got := r.anchor(noon.Add(13 * time.Hour)); !got.Equal(first) {
		t.Errorf("the anchor moved under a sample: %v", got)
	}
	later := r.anchor(noon.Add(24 * time.Hour))
	if !later.After(first) || len(r.samples) != 0 {
		t.Errorf("%v with %d samples of another anchor", later, len(r.samples))
	}
}
