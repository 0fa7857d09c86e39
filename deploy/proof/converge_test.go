package proof

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestConverge 改 n 次配置，每次量到三个节点全部确认为止。
func TestConverge(t *testing.T) {
	s, _ := start(t, 3, list{model("m", "x")})
	n := size(30, 100)
	took := make([]time.Duration, 0, n)
	for i := range n {
		began := time.Now()
		a, err := s.Admin.Apply(t.Context(), doc{"apps": list{doc{"name": "proof", "weight": 2 + i}}})
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Applied) != 3 || len(a.Pending)+len(a.Rejected) > 0 {
			t.Fatalf("change %d: %+v", i, a)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	fmt.Printf("figures: converge changes=%d nodes=3 p50=%s p99=%s max=%s (goal p99 < 200ms)\n", n,
		took[n/2].Round(100*time.Microsecond), took[n*99/100].Round(100*time.Microsecond), took[n-1].Round(100*time.Microsecond))
}
