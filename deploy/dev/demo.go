package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/vega-gateway/vega/deploy/stack"
)

const (
	demoFile  = "deploy/demo/vega.yaml"
	demoModel = "demo-chat"
	demoApp   = "demo-app"
	demoKey   = "default"
)

// applyDemo 应用演示配置并返回演示 app 的钥匙。
// 秘钥只在生成时给一次，所以存进 keyFile；文件丢了就吊销旧的、换一把新的。
func applyDemo(ctx context.Context, admin *stack.Admin, keyFile string) (string, error) {
	raw, err := os.ReadFile(demoFile)
	if err != nil {
		return "", fmt.Errorf("read demo configuration: %w", err)
	}
	doc, err := yaml.YAMLToJSONStrict(raw)
	if err != nil {
		return "", fmt.Errorf("%s: %w", demoFile, err)
	}
	key, err := applyForKey(ctx, admin, doc)
	if err != nil {
		return "", err
	}
	if kept, err := os.ReadFile(keyFile); key == "" && err == nil {
		return strings.TrimSpace(string(kept)), nil
	}
	if key == "" {
		if err := admin.Call(ctx, http.MethodDelete, "/apps/"+demoApp+"/keys/"+demoKey+"?wait=true", nil, nil); err != nil {
			return "", fmt.Errorf("revoke lost demo key: %w", err)
		}
		if key, err = applyForKey(ctx, admin, doc); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(keyFile, []byte(key+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep demo key: %w", err)
	}
	return key, nil
}

// applyForKey 返回这次新生成的演示钥匙，没有新生成则空。
func applyForKey(ctx context.Context, admin *stack.Admin, doc []byte) (string, error) {
	applied, err := admin.Apply(ctx, doc)
	if err != nil {
		return "", fmt.Errorf("apply %s: %w", demoFile, err)
	}
	for _, k := range applied.Keys {
		if k.App == demoApp && k.Name == demoKey {
			return k.Secret, nil
		}
	}
	return "", nil
}

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
