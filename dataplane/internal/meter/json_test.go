package meter

import (
	"strings"
	"testing"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

func n(v int64) Count { return Count{Value: v, Set: true} }

func TestJSON_ReadsEveryDialectInTheWild(t *testing.T) {
	for _, c := range []struct {
		name string
		kind dialect.Kind
		body string
		want Usage
	}{
		{"chat", dialect.Chat, `{"choices":[{}],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":3,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":5}}}`, Usage{n(9), n(12), n(3), n(5)}},
		{"explicit zero", dialect.Completions, `{"usage":{"prompt_tokens":0,"completion_tokens":0,"prompt_tokens_details":null}}`, Usage{Prompt: n(0), Completion: n(0)}},
		{"cache hit", dialect.Chat, `{"usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":8}}`, Usage{Prompt: n(9), Completion: n(1), Cached: n(8)}},
		{"flat cached and reasoning", dialect.Chat, `{"usage":{"prompt_tokens":9,"cached_tokens":7,"reasoning_tokens":2}}`, Usage{Prompt: n(9), Cached: n(7), Reasoning: n(2)}},
		{"x_groq", dialect.Chat, `{"x_groq":{"usage":{"prompt_tokens":4,"completion_tokens":2}}}`, Usage{Prompt: n(4), Completion: n(2)}},
		{"responses", dialect.Responses, `{"usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1}}}`, Usage{n(1), n(2), n(0), n(1)}},
		{"embeddings", dialect.Embeddings, `{"data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}`, Usage{Prompt: n(8)}},
		{"embeddings total only", dialect.Embeddings, `{"usage":{"total_tokens":8}}`, Usage{Prompt: n(8)}},
		{"rerank", dialect.Rerank, `{"usage":{"total_tokens":6}}`, Usage{Prompt: n(6)}},
		{"rerank meta", dialect.Rerank, `{"meta":{"billed_units":{"search_units":1},"tokens":{"input_tokens":5,"output_tokens":0}}}`, Usage{Prompt: n(5), Completion: n(0)}},
		{"images", dialect.Images, `{"data":[{"b64_json":"x"}],"usage":{"input_tokens":50,"output_tokens":1056,"total_tokens":1106}}`, Usage{Prompt: n(50), Completion: n(1056)}},
		{"transcription", dialect.Audio, `{"text":"hi","usage":{"type":"tokens","input_tokens":14,"output_tokens":45}}`, Usage{Prompt: n(14), Completion: n(45)}},
		{"largest", dialect.Chat, `{"usage":{"prompt_tokens":1000000000000}}`, Usage{Prompt: n(maxCount)}},
		{"nonsense beside sense", dialect.Chat, `{"usage":{"prompt_tokens":-1,"completion_tokens":2,"cached_tokens":"3","reasoning_tokens":1.5}}`, Usage{Completion: n(2)}},
	} {
		if u, found := JSON(c.kind, []byte(c.body)); !found || u != c.want {
			t.Errorf("%s: %+v %v", c.name, u, found)
		}
	}
}

func TestJSON_NonsenseIsAbsent(t *testing.T) {
	for _, body := range []string{
		``, `[]`, `{}`, `{"usage":null}`, `{"usage":{}}`, `{"usage":7}`, `{"usage":[1]}`, `{"usage":{"prompt_tokens":null}}`, `{"usage":{"type":"duration","seconds":3}}`,
		`{"usage":{"prompt_tokens":1000000000001}}`, `{"usage":{"prompt_tokens":1e2}}`, `{"usage":{"prompt_tokens":2.0}}`, `{"usage":{"total_tokens":5}}`,
		`{"a":{"usage":{"prompt_tokens":1}}}`, `{"text":"\"usage\":{\"prompt_tokens\":1}"}`, `{"usage":{"prompt_tokens":1}`,
	} {
		if u, found := JSON(dialect.Chat, []byte(body)); found || u != (Usage{}) {
			t.Errorf("%s: %+v", body, u)
		}
	}
}

func TestCheckObject_TakesExactlyOneObject(t *testing.T) {
	for body, want := range map[string]bool{
		`{}`: true, " {\"a\":[1]}\n": true, `{"a":"` + "\xff" + `"}`: true, ``: false, ` `: false, `[]`: false, `null`: false, `{}{}`: false, `{"a":`: false, `<html>`: false,
		strings.Repeat(`{"a":`, 1<<20): false,
	} {
		if got := CheckObject([]byte(body)); got != want {
			t.Errorf("%.40q: %v", body, got)
		}
	}
}
