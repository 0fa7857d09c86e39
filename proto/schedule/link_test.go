package schedule

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// got 收下一帧，记下交出的。
func got(l *link[int], to *[]int, seq uint64) bool {
	return l.arrived(seq, int(seq), func(f int) { *to = append(*to, f) })
}

func TestLink_DeliversInOrderOnceWhateverTheWireDoes(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var from, to link[int]
		var taken, want []int
		var wire []uint64
		now := second
		send := func(f int) { wire = append(wire, uint64(f)) }
		for i := 1; i <= 100; i++ {
			now = now.Add(time.Duration(rng.IntN(30)) * time.Millisecond)
			want = append(want, i)
			from.push(now, i)
			send(i)
			for rng.IntN(3) > 0 && len(wire) > 0 { // 丢、重、乱序
				k := rng.IntN(len(wire))
				if rng.IntN(4) > 0 && !got(&to, &taken, wire[k]) {
					t.Fatalf("seed %d: the link gave up", seed)
				}
				if rng.IntN(3) > 0 {
					wire = slices.Delete(wire, k, k+1)
				}
			}
			if rng.IntN(2) == 0 {
				from.acked(now, to.received)
			}
			if !from.overdue(now, send) {
				t.Fatalf("seed %d: nothing was lost for %v, yet the link gave up", seed, deadAfter)
			}
		}
		for len(taken) < len(want) {
			if at := from.next(); at == 0 {
				t.Fatalf("seed %d: %d of %d delivered and nothing to resend", seed, len(taken), len(want))
			} else {
				now = max(now, at)
			}
			if !from.overdue(now, send) {
				t.Fatalf("seed %d: the link gave up", seed)
			}
			for _, seq := range wire {
				got(&to, &taken, seq)
			}
			wire = wire[:0]
			from.acked(now, to.received)
		}
		if !slices.Equal(taken, want) {
			t.Fatalf("seed %d: delivered %v", seed, taken)
		}
		if from.acked(now, to.received); len(from.unacked) != 0 || from.next() != 0 {
			t.Fatalf("seed %d: %d frames are kept after they were all acknowledged", seed, len(from.unacked))
		}
	}
}

func TestLink_ResendsOnlyWhenDueAndEachTimeLater(t *testing.T) {
	var l link[int]
	now, sent := second, 0
	l.push(now, 1)
	l.push(now.Add(time.Millisecond), 2)
	var gaps []time.Duration
	last := now
	for range 5 {
		at := l.next()
		if l.overdue(at-1, func(int) { t.Fatalf("resent before %v", at) }); l.next() != at {
			t.Fatalf("next moved from %v to %v before anything was due", at, l.next())
		}
		before := sent
		l.overdue(at, func(f int) {
			if sent++; f != 1 {
				t.Fatalf("resent %d, want the earliest", f)
			}
		})
		if sent != before+1 {
			t.Fatalf("%d resent at its time", sent-before)
		}
		gaps = append(gaps, at.Sub(last))
		last = at
		l.overdue(at.Add(time.Millisecond), func(int) {}) // 第二帧晚 1 ms
	}
	if want := []time.Duration{minResend, 2 * minResend, 4 * minResend, maxResend, maxResend}; !slices.Equal(gaps, want) {
		t.Fatalf("resent after %v, want %v", gaps, want)
	}
}

// 时限随来回的时间走，重发过的不算：分不清确认的是哪一次。
func TestLink_WaitsThreeRoundTrips(t *testing.T) {
	var l link[int]
	now := second
	for range 100 {
		seq := l.push(now, 0)
		now = now.Add(30 * time.Millisecond)
		l.acked(now, seq)
	}
	l.push(now, 0)
	if wait := l.next().Sub(now); wait < 85*time.Millisecond || wait > 90*time.Millisecond {
		t.Fatalf("resends after %v with round trips of 30 ms", wait)
	}
	l.overdue(l.next(), func(int) {})
	was := l.rtt
	if l.acked(now.Add(2*time.Second), l.sent); l.rtt != was {
		t.Fatalf("the round trip went from %v to %v by a frame that was resent", was, l.rtt)
	}
}

func TestLink_GivesUpOnAPeerThatNeverAcknowledges(t *testing.T) {
	var l link[int]
	now := second
	l.push(now, 1)
	for l.overdue(l.next(), func(int) {}) {
		if l.next() > now.Add(deadAfter+maxResend) {
			t.Fatal("still trying")
		}
	}
	if at := l.next(); at < now.Add(deadAfter) {
		t.Fatalf("gave up after %v", at.Sub(now))
	}

	l.reset()
	for range maxUnacked {
		l.push(now, 1)
	}
	if l.overdue(now, func(int) {}) {
		t.Fatalf("%d frames wait for an acknowledgement", len(l.unacked))
	}
}

func TestLink_GivesUpOnAPeerOutOfAnyOrder(t *testing.T) {
	var l link[int]
	var taken []int
	for seq := range uint64(maxEarly) {
		if !got(&l, &taken, seq+2) {
			t.Fatalf("gave up after %d early frames", seq)
		}
	}
	if got(&l, &taken, maxEarly+2) || len(taken) != 0 {
		t.Fatalf("%d early frames are kept, %d delivered", len(l.early), len(taken))
	}
}

func TestLink_ResetForgetsTheFormerStream(t *testing.T) {
	var l link[int]
	var taken []int
	l.push(second, 1)
	got(&l, &taken, 1)
	got(&l, &taken, 3)
	l.reset()
	if l.next() != 0 || l.push(second, 1) != 1 {
		t.Fatal("a new stream starts with the frames of the former one")
	}
	if got(&l, &taken, 1); got(&l, &taken, 2) && !slices.Equal(taken, []int{1, 1, 2}) {
		t.Fatalf("delivered %v: frame 3 is of the former stream", taken)
	}
}
