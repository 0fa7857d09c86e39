package gateway

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

func TestOutputs_LearnsTheNinetiethPercentileOfAnyShape(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() float64{
		"uniform":     func() float64 { return 100 + 900*r.Float64() },
		"exponential": func() float64 { return 1 + 300*r.ExpFloat64() },
		"lognormal":   func() float64 { return math.Exp(5 + r.NormFloat64()) },
		"constant":    func() float64 { return 40 },
		"two peaks": func() float64 {
			if r.IntN(2) == 0 {
				return 10 + r.Float64()
			}
			return 2000 + 100*r.Float64()
		},
	} {
		o := newOutputs()
		var seen []float64
		for range 2000 {
			v := math.Floor(draw())
			seen = append(seen, v)
			o.observe("a", "m", int64(v))
		}
		slices.Sort(seen)
		truth, got := seen[len(seen)*9/10], float64(o.predict("a", "m"))
		if got < truth*0.75 || got > truth*1.33 {
			t.Errorf("%s: predicted %v, the 90th percentile is %v", name, got, truth)
		}
	}
}

func TestOutputs_OneAnswerIsEnoughToStartAndAChangeIsFollowed(t *testing.T) {
	o := newOutputs()
	if got := o.predict("a", "m"); got != firstGuess {
		t.Fatalf("before any answer: %d", got)
	}
	o.observe("a", "m", 20)
	if got := o.predict("a", "m"); got != 20 {
		t.Fatalf("after one answer of 20: %d", got)
	}
	if got := o.predict("b", "m"); got != firstGuess {
		t.Fatalf("another app learnt from it: %d", got)
	}
	for range 100 {
		o.observe("a", "m", 20)
	}
	for range 200 {
		o.observe("a", "m", 4000)
	}
	if got := o.predict("a", "m"); got < 3000 || got > 5500 {
		t.Fatalf("after the answers grew to 4000: %d", got)
	}
}

func TestOutputs_AbsurdFiguresDoNotBreakIt(t *testing.T) {
	o := newOutputs()
	for _, v := range []int64{0, -5, math.MinInt64, math.MaxInt64} {
		o.observe("a", "m", v)
		if got := o.predict("a", "m"); got < 1 || got > maxOutput {
			t.Fatalf("after %d: %d", v, got)
		}
	}
}

func TestOutputs_ForgetsWhatTheConfigurationNoLongerHas(t *testing.T) {
	app := ruleset.NewApp("team")
	st, err := state.Compile(1, [sha256.Size]byte{}, &configv1.Snapshot{
		KeyPepper: bytes.Repeat([]byte{1}, 32), Apps: []*configv1.App{app},
		Servers: []*configv1.Server{ruleset.NewServer("s", "http://127.0.0.1:1/v1")},
		Models:  []*configv1.Model{{Name: "m", Targets: []*configv1.Target{ruleset.NewTarget("s", "up")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	o := newOutputs()
	for _, k := range []flowKey{{"team", "m"}, {"team", "gone"}, {"gone", "m"}} {
		o.observe(k.app, k.model, 7)
	}
	o.retain(st)
	if n := o.count.Load(); n != 1 || o.predict("team", "m") != 7 || o.predict("team", "gone") != firstGuess {
		t.Fatalf("%d left", n)
	}
}

func TestOutputs_IsBounded(t *testing.T) {
	o := newOutputs()
	o.count.Store(maxFlows)
	o.observe("a", "m", 7)
	if got := o.predict("a", "m"); got != firstGuess {
		t.Fatalf("learnt beyond the bound: %d", got)
	}
}

func TestOutputs_ManyAtOnce(t *testing.T) {
	o := newOutputs()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 2000 {
				model := fmt.Sprint(j % 7)
				o.observe("a", model, int64(100+i))
				_ = o.predict("a", model)
			}
		})
	}
	wg.Wait()
	if n := o.count.Load(); n != 7 {
		t.Fatalf("%d entries for 7 models", n)
	}
	if got := o.predict("a", "3"); got < 95 || got > 115 {
		t.Fatalf("predicted %d of answers between 100 and 107", got)
	}
}

func BenchmarkOutputs_PredictAndObserve(b *testing.B) {
	o := newOutputs()
	o.observe("team", "m", 100)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			o.observe("team", "m", 90+o.predict("team", "m")%20)
		}
	})
}
