package segments

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestPowerLoss_LosesAtMostWhatWasNotSynced：随机地写、落盘、换段、删段、断电、重来。
// Synced 说过的从不丢，说过的序号从不再给别人；丢的只在最后一组里，盘上知道的都在洞里有数。
func TestPowerLoss_LosesAtMostWhatWasNotSynced(t *testing.T) {
	const runs, lives = 300, 6
	var sum toll
	for seed := range uint64(runs) {
		random := rand.New(rand.NewPCG(seed, 42))
		d := newDisk(t)
		excused := map[uint64]bool{} // 从前断电丢了的：那时还没有落盘
		var durable, written, first uint64 = 0, 0, 1
		for range lives {
			l := open(t, d, small())
			if last := l.Stats().Last; last < durable {
				t.Fatalf("seed %d: %d was synced, but the next index is %d", seed, durable, last+1)
			}
			if from := l.Stats().First; from > first { // 头一段没有落盘而后一段恰好写了下去
				if durable >= first {
					t.Fatalf("seed %d: %d..%d are gone, synced to %d", seed, first, from-1, durable)
				}
				sum.lost += from - first
				first = from
			}
			accounted(t, l, first, l.Stats().Last)
			for _, h := range l.Holes() {
				for i := max(h.First, first); i <= h.Last; i++ {
					if i <= durable && !excused[i] {
						t.Fatalf("seed %d: %d was synced to %d and is lost: %+v", seed, i, durable, h)
					}
					if !excused[i] {
						excused[i] = true
						sum.counted++
					}
				}
			}
			sum.lost += written - min(written, l.Stats().Last)
			before := l.Stats().Last
			live(t, l, random)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
			st := l.Stats()
			sum.frames += st.Last - before
			durable, first, written = max(durable, st.Synced), st.First, st.Last
			d = d.powerLoss(random, []float64{0, 0.5, 1}[random.IntN(3)])
		}
	}
	fmt.Printf("figures: segments-power-loss crashes=%d frames=%d lost_unsynced=%d of_these_counted=%d lost_synced=0 reused_synced_indexes=0\n",
		runs*lives, sum.frames, sum.lost+sum.counted, sum.counted)
}

type toll struct{ frames, lost, counted uint64 }

// live 随机地用一阵。
func live(t *testing.T, l *Log, random *rand.Rand) {
	t.Helper()
	for range random.IntN(8) {
		add(t, l, random.IntN(40))
		switch random.IntN(5) {
		case 0:
			l.syncAll()
		case 1:
			l.syncAll()
			l.tidy()
		case 2:
			if err := l.Drop(l.Synced()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
