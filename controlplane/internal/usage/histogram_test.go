package usage

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestHistogram_PercentilesStayWithinTheBucketErrorAndMergingIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(1, 1<<38), 1, 300).Draw(t, "values")
		cut := rapid.IntRange(0, len(values)).Draw(t, "cut")
		var whole, left, right Histogram
		for i, v := range values {
			whole.Observe(v)
			if i < cut {
				left.Observe(v)
			} else {
				right.Observe(v)
			}
		}
		var merged Histogram
		for _, h := range []*Histogram{&left, &right} {
			if err := merged.MergeEncoded(h.Append(nil)); err != nil {
				t.Fatal(err)
			}
		}
		left.Merge(&right)
		if !slices.Equal(merged.Append(nil), whole.Append(nil)) || !slices.Equal(left.Append(nil), whole.Append(nil)) {
			t.Fatal("merging changed the distribution")
		}
		slices.Sort(values)
		for _, q := range []float64{0.01, 0.5, 0.95, 0.99, 1} {
			exact := float64(values[max(int(math.Ceil(q*float64(len(values))))-1, 0)])
			if got := merged.Quantile(q); math.Abs(got-exact)/exact > 0.045 {
				t.Fatalf("q=%v: %v, exact %v", q, got, exact)
			}
		}
	})
}

func TestHistogram_EmptyAndExtremeValues(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || len(h.Append(nil)) != 0 {
		t.Fatal("an empty histogram has no percentile and no bytes")
	}
	h.Observe(-5)
	h.Observe(0)
	h.Observe(math.MaxInt64)
	if h.Count() != 3 || h.Quantile(0.5) != 0 || h.Quantile(1) < 1<<39 {
		t.Fatalf("%d %v %v", h.Count(), h.Quantile(0.5), h.Quantile(1))
	}
}

func FuzzHistogram_MergeEncoded(f *testing.F) {
	var h Histogram
	h.Observe(5)
	h.Observe(5_000_000)
	f.Add(h.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got Histogram
		if got.MergeEncoded(b) == nil && len(got.buckets) > 0 && got.buckets[len(got.buckets)-1].bucket > maxBucket {
			t.Fatal("a bucket out of range was accepted")
		}
	})
}
