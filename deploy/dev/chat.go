package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// chat 发一次真实的对话，反复试到 patience 用完；返回回答的文字。
func chat(ctx context.Context, apiURL, key string, patience time.Duration) (string, error) {
	body := []byte(`{"model":"` + demoModel + `","messages":[{"role":"user","content":"Say hello."}]}`)
	deadline := time.Now().Add(patience)
	for {
		answer, err := chatOnce(ctx, apiURL, key, body)
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return answer, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func chatOnce(ctx context.Context, apiURL, key string, body []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, apiURL+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var got struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal(raw, &got); err != nil || resp.StatusCode != http.StatusOK || len(got.Choices) == 0 {
		return "", fmt.Errorf("%s: %s", resp.Status, raw)
	}
	return got.Choices[0].Message.Content, nil
}
