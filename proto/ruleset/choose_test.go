package ruleset

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// spot 是一个目标在选择眼中的样子。
type spot struct {
	tier, weight, ejectedAt int64
	verdict                 Verdict
}

func choose(list []spot, r uint64) (int, bool) {
	return Choose(len(list), func(i int) int64 { return list[i].tier }, func(i int) int64 { return list[i].weight },
		func(i int) Verdict { return list[i].verdict }, r)
}

var spots = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) spot {
	return spot{
		tier: rapid.Int64Range(0, 3).Draw(t, "tier"), weight: rapid.Int64Range(0, 5).Draw(t, "weight"),
		ejectedAt: rapid.Int64Range(-3, 3).Draw(t, "at"), verdict: Verdict(rapid.IntRange(0, int(Disabled)).Draw(t, "verdict")),
	}
}), 0, 8)

func TestChoose_TakesTheFirstTierThatCanStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, r := spots.Draw(t, "spots"), rapid.Uint64().Draw(t, "r")
		best, some := int64(math.MaxInt64), false
		for _, s := range list {
			if s.verdict == Startable && s.weight > 0 {
				best, some = min(best, s.tier), true
			}
		}
		i, ok := choose(list, r)
		if ok != some {
			t.Fatalf("ok %v, want %v", ok, some)
		}
		if ok && (list[i].tier != best || list[i].verdict != Startable || list[i].weight <= 0) {
			t.Fatalf("chose %d %+v, best tier %d", i, list[i], best)
		}
		if again, _ := choose(list, r); again != i {
			t.Fatal("the same random number chose differently")
		}
	})
}

func TestChoose_AsksEachVerdictAtMostOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, asked := spots.Draw(t, "spots"), map[int]int{}
		Choose(len(list), func(i int) int64 { return list[i].tier }, func(i int) int64 { return list[i].weight },
			func(i int) Verdict { asked[i]++; return list[i].verdict }, 1)
		for i, n := range asked {
			if n > 1 {
				t.Fatalf("target %d was asked %d times", i, n)
			}
		}
	})
}

// TestChoose_SharesMatchWeights 用卡方检验；种子固定，因此不会偶尔失败。0.999 分位：自由度 3 为 16.27。
func TestChoose_SharesMatchWeights(t *testing.T) {
	layouts := [][]spot{
		{{weight: 1}, {weight: 2}, {weight: 3}, {weight: 4}},
		{{weight: 1, tier: 5}, {weight: 4}, {weight: 900, verdict: Full}, {weight: 3}, {weight: 2}, {weight: 1}},
		{{weight: 1_000_000}, {weight: 1}, {weight: 500_000}, {weight: 1_000_000}},
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, list := range layouts {
		const n = 200_000
		counts := make([]int, len(list))
		for range n {
			i, _ := choose(list, random.Uint64())
			counts[i]++
		}
		var total, chi float64
		for _, s := range list {
			if s.tier == 0 && s.verdict == Startable {
				total += float64(s.weight)
			}
		}
		for i, s := range list {
			if s.tier != 0 || s.verdict != Startable {
				if counts[i] != 0 {
					t.Errorf("%+v was chosen %d times", s, counts[i])
				}
				continue
			}
			want := n * float64(s.weight) / total
			chi += (float64(counts[i]) - want) * (float64(counts[i]) - want) / want
		}
		if chi > 16.27 {
			t.Errorf("chi-squared %.1f: counts %v for %+v", chi, counts, list)
		}
	}
}

func TestChoose_DoesNotAllocate(t *testing.T) {
	list := []spot{{weight: 1}, {weight: 2, verdict: Full}, {weight: 3}}
	if n := testing.AllocsPerRun(100, func() { choose(list, 7) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRelax_OnlyWhenEveryEnabledTargetIsEjected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := spots.Draw(t, "spots")
		ejected, others := 0, 0
		newest := int64(math.MinInt64)
		for _, s := range list {
			switch s.verdict {
			case Ejected:
				ejected++
				newest = max(newest, s.ejectedAt)
			case Disabled:
			default:
				others++
			}
		}
		i, ok := Relax(len(list), func(i int) Verdict { return list[i].verdict }, func(i int) int64 { return list[i].ejectedAt })
		if want := ejected > 0 && others == 0; ok != want {
			t.Fatalf("ok %v, want %v", ok, want)
		}
		if ok && (list[i].verdict != Ejected || list[i].ejectedAt != newest) {
			t.Fatalf("relaxed %+v, newest %d", list[i], newest)
		}
	})
}

func TestVerdict_HasANameForEach(t *testing.T) {
	seen := map[string]bool{}
	for v := Startable; v <= Disabled; v++ {
		seen[v.String()] = true
	}
	if len(seen) != int(Disabled)+1 || seen["unknown"] || Verdict(99).String() != "unknown" {
		t.Error(seen)
	}
}

func BenchmarkChoose(b *testing.B) {
	list := []spot{{weight: 1}, {weight: 2, verdict: Full}, {weight: 3}, {weight: 1, tier: 1}}
	b.ReportAllocs()
	var r uint64
	for b.Loop() {
		r++
		choose(list, r)
	}
}

func TestTiers_KeepEveryTargetThatTakesTrafficInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := spots.Draw(t, "spots")
		for i := range list {
			list[i].ejectedAt = int64(i) // 认得出原来的次序
		}
		before, n := spot{tier: -1}, 0
		for _, tier := range Tiers(list, func(s spot) int64 { return s.tier }, func(s spot) int64 { return s.weight }) {
			if len(tier) == 0 || tier[0].tier <= before.tier {
				t.Fatalf("an empty tier, or one that comes too late: %+v after %+v", tier, before)
			}
			for i, s := range tier {
				if s.weight <= 0 || s.tier != tier[0].tier || i > 0 && s.ejectedAt <= tier[i-1].ejectedAt {
					t.Fatalf("%+v does not belong there", s)
				}
				before, n = s, n+1
			}
		}
		for _, s := range list {
			if s.weight > 0 {
				n--
			}
		}
		if n != 0 {
			t.Fatal("targets were lost or invented")
		}
	})
}

func TestWaitable_IsWhatTimeAloneCanCure(t *testing.T) {
	for v, want := range map[Verdict]bool{Startable: true, Full: true, Paused: true, Ejected: false, Tried: false, Disabled: false} {
		if v.Waitable() != want {
			t.Errorf("%s: %v", v, !want)
		}
	}
}
