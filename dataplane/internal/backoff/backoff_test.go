package backoff

import (
	"testing"
	"time"
)

func TestBackoff_DoublesTheCeilingUpToMax(t *testing.T) {
	b := Backoff{Random: func() float64 { return 1 }}
	for _, want := range []int64{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
		if got := b.Next().Milliseconds(); got != want {
			t.Fatalf("got %v ms, want %v", got, want)
		}
	}
	b.Reset()
	if got := b.Next(); got != 100*time.Millisecond {
		t.Errorf("after reset: %v", got)
	}
}

func TestBackoff_JittersOverTheWholeRangeButNeverSpins(t *testing.T) {
	b := Backoff{Min: time.Second, Max: 10 * time.Second, Random: func() float64 { return 0 }}
	if got := b.Next(); got != 100*time.Millisecond {
		t.Errorf("lowest %v", got)
	}
	var uniform Backoff
	for range 1_000 {
		if d := uniform.Next(); d < 10*time.Millisecond || d > 5*time.Second {
			t.Fatalf("out of range: %v", d)
		}
	}
}
