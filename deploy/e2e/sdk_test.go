package e2e

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/vega-gateway/vega/deploy/stack"
)

func TestOpenAINodeSDK(t *testing.T) {
	if _, err := os.Stat("sdk/node_modules/openai"); err != nil {
		cmd := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--cache", "../../../.cache/npm")
		cmd.Dir = "sdk"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
	}
	r := start(t, stack.Options{Nodes: 1})
	cmd := exec.CommandContext(t.Context(), "node", "sdk.mjs")
	cmd.Dir = "sdk"
	cmd.Env = append(os.Environ(), "VEGA_API_URL="+r.APIURL(0), "VEGA_API_KEY="+r.key)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the official Node SDK failed: %v", err)
	}
}

func TestOpenAIGoSDK(t *testing.T) {
	r := start(t, stack.Options{Nodes: 1})
	ctx := t.Context()
	client := openai.NewClient(option.WithBaseURL(r.APIURL(0)), option.WithAPIKey(r.key), option.WithMaxRetries(0))
	ask := openai.ChatCompletionNewParams{Model: "chat", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")}}

	whole, err := client.Chat.Completions.New(ctx, ask)
	if err != nil || whole.Choices[0].Message.Content == "" || whole.Usage.TotalTokens == 0 {
		t.Fatalf("chat: %+v, %v", whole, err)
	}
	var acc openai.ChatCompletionAccumulator
	stream := client.Chat.Completions.NewStreaming(ctx, ask)
	for stream.Next() {
		acc.AddChunk(stream.Current())
	}
	if err := stream.Err(); err != nil || acc.Choices[0].Message.Content != whole.Choices[0].Message.Content {
		t.Fatalf("stream: %q against %q, %v", acc.Choices[0].Message.Content, whole.Choices[0].Message.Content, err)
	}
	emb, err := client.Embeddings.New(ctx, openai.EmbeddingNewParams{Model: "embed", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("x")}})
	if err != nil || len(emb.Data) != 1 {
		t.Fatalf("embeddings: %+v, %v", emb, err)
	}
	checkGoErrors(ctx, t, r, ask)
}

func checkGoErrors(ctx context.Context, t *testing.T, r *rig, ask openai.ChatCompletionNewParams) {
	t.Helper()
	for _, c := range []struct {
		key, model string
		status     int
		code       string
	}{
		{"vg-wrong", "chat", http.StatusUnauthorized, "invalid_api_key"},
		{r.key, "nope", http.StatusNotFound, "model_not_found"},
		{r.key, "secret", http.StatusForbidden, "model_not_allowed"},
	} {
		client := openai.NewClient(option.WithBaseURL(r.APIURL(0)), option.WithAPIKey(c.key), option.WithMaxRetries(0))
		ask.Model = c.model
		_, err := client.Chat.Completions.New(ctx, ask)
		var e *openai.Error
		if !errors.As(err, &e) || e.StatusCode != c.status || e.Code != c.code || e.Message == "" {
			t.Errorf("%s %s: got %v", c.key, c.model, err)
		}
	}
}
