package gateway

import (
	"math"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/schedule"
)

func TestEstimate_IsTheLearntLengthUnlessTheClientAsksForLess(t *testing.T) {
	o := newOutputs()
	o.observe("team", "learnt", 300)
	set := func(n int64) dialect.Int { return dialect.Int{Value: n, Set: true} }
	for name, c := range map[string]struct {
		model string
		kind  dialect.Kind
		env   dialect.Envelope
		want  schedule.Cost
	}{
		"nothing known":       {"new", dialect.Chat, dialect.Envelope{}, schedule.Cost{Prompt: 10, Output: firstGuess}},
		"learnt":              {"learnt", dialect.Chat, dialect.Envelope{}, schedule.Cost{Prompt: 10, Output: 300}},
		"less asked for":      {"learnt", dialect.Responses, dialect.Envelope{MaxOutputTokens: set(50)}, schedule.Cost{Prompt: 10, Output: 50}},
		"more asked for":      {"learnt", dialect.Completions, dialect.Envelope{MaxTokens: set(math.MaxInt64)}, schedule.Cost{Prompt: 10, Output: 300}},
		"several choices":     {"learnt", dialect.Chat, dialect.Envelope{N: set(4), MaxCompletionTokens: set(100)}, schedule.Cost{Prompt: 10, Output: 400}},
		"absurd choices":      {"learnt", dialect.Chat, dialect.Envelope{N: set(math.MaxInt64)}, schedule.Cost{Prompt: 10, Output: 300 * maxChoices}},
		"no choices":          {"learnt", dialect.Chat, dialect.Envelope{N: set(-3)}, schedule.Cost{Prompt: 10, Output: 300}},
		"embeddings":          {"learnt", dialect.Embeddings, dialect.Envelope{}, schedule.Cost{Prompt: 10}},
		"no model":            {"", dialect.Moderations, dialect.Envelope{}, schedule.Cost{}},
		"a form says nothing": {"learnt", dialect.Audio, dialect.Envelope{Format: dialect.Multipart}, schedule.Cost{}},
	} {
		if c.env.Format == dialect.Opaque {
			c.env.Format = dialect.JSON
		}
		x := &exchange{gw: &Gateway{outputs: o}, ep: &dialect.Endpoint{Kind: c.kind}, env: c.env, prompt: 10,
			key: &state.Key{App: &state.App{Name: "team"}}}
		if c.model != "" {
			x.model = &state.Model{Name: c.model}
		}
		if got := x.estimate(); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestPromptTokens_FollowsTheTextAndNotInlineFiles(t *testing.T) {
	text := `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("word ", 800) + `"}]}`
	if got := promptTokens([]byte(text)); got < 950 || got > 1100 {
		t.Fatalf("%d tokens for 4000 characters", got)
	}
	image := `{"url":"data:image/png;base64,` + strings.Repeat("iVBORw0K", 100_000) + `"}`
	got := promptTokens([]byte(`{"model":"m","messages":[` + image + `,` + image + `]}`))
	if got < 2*inlineTokens || got > 2*inlineTokens+100 {
		t.Fatalf("%d tokens for two images", got)
	}
	for _, odd := range []string{"", ";base64,", `x;base64,;base64,"`} {
		if n := promptTokens([]byte(odd)); n < 0 || n > 3*inlineTokens {
			t.Fatalf("%q: %d", odd, n)
		}
	}
}

func BenchmarkPromptTokens_64KiB(b *testing.B) {
	body := []byte(strings.Repeat("some words; ", 64<<10/12))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for range b.N {
		promptTokens(body)
	}
}
