package schedule

import "testing"

// BenchmarkLink_Idle 是一步里看有没有要重发的，而路上有 n 帧还没有确认、一帧也没有到时候：步步都要看，不该与 n 有关。
func BenchmarkLink_Idle(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		b.Run(map[int]string{1: "unacked=1", 10_000: "unacked=10000"}[n], func(b *testing.B) {
			var l link[int]
			now := second
			for i := range n {
				l.push(now, i)
			}
			b.ReportAllocs()
			for b.Loop() {
				if !l.overdue(now+1, func(int) { b.Fatal("resent") }) || l.next() <= now {
					b.Fatal("due")
				}
			}
		})
	}
}
