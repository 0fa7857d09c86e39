package gateway

import "testing"

func TestChunk_GrowsWithABurstAndShrinksWhenTheStreamIsSlowAgain(t *testing.T) {
	var p chunkPool
	c := p.take()
	defer c.done()
	for _, step := range []struct{ read, room int }{
		{100, smallChunk}, {smallChunk, largeChunk}, {4 << 10, largeChunk}, {smallChunk, largeChunk}, {200, smallChunk},
	} {
		c.fit(step.read)
		if got := len(c.room()); got != step.room {
			t.Fatalf("after reading %d: %d bytes of room, want %d", step.read, got, step.room)
		}
	}
}
