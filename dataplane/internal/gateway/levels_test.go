package gateway

import (
	"testing"
	"time"
)

func TestResetText_IsWrittenAsOpenAIDoes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", -time.Second: "0s", time.Microsecond: "1ms", 12 * time.Millisecond: "12ms", time.Second: "1s",
		8640 * time.Millisecond: "8.64s", 6 * time.Minute: "6m0s", 90*time.Minute + 1: "1h30m0.001s",
	} {
		if got := resetText(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
