package embedded

import (
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestLogSink_SplitsLinesAndMapsSeverity(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	s := &logSink{log: zap.New(core)}
	for _, part := range []string{"LOG:  starting\nWARN", "ING:  low disk\nHINT:  buy more\n", "PANIC:  lost\nunfinished"} {
		n, err := s.Write([]byte(part))
		if err != nil || n != len(part) {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	var got []string
	for _, e := range logs.All() {
		got = append(got, e.Level.String()+" "+e.Message)
	}
	want := []string{"debug postgres: starting", "warn postgres: low disk", "warn postgres: HINT:  buy more", "error postgres: lost"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if tail := s.tail(); !strings.HasSuffix(tail, "PANIC:  lost") {
		t.Errorf("tail %q", tail)
	}
}

func TestLogSink_KeepsOnlyTheLastLines(t *testing.T) {
	s := &logSink{log: zap.NewNop()}
	for range 10 * keepLines {
		s.Write([]byte("LOG:  x\n"))
	}
	if len(s.last) != keepLines {
		t.Errorf("keeps %d lines, want %d", len(s.last), keepLines)
	}
}
