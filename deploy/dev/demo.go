package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/vega-gateway/vega/deploy/stack"
)

const (
	demoFile  = "deploy/demo/vega.yaml"
	demoModel = "demo-chat"
	demoApp   = "demo-app"
	demoKey   = "default"
)

// demo 是演示配置的处境。
type demo struct {
	// Fresh 说这一次刚应用上：那时一切都必须能用。
	Fresh bool
	// Key 是演示 app 的钥匙；空即没有留着。
	Key string
	// Differences 是使用者改过的，一行一处；没有则空。
	Differences []string
}

// prepareDemo 只在从来没有过配置的安装上应用演示配置 file；此后配置归使用者，只说出与它有哪些不同，什么也不改。
// 钥匙的明文只在生成时给一次，所以存进 keyFile。
func prepareDemo(ctx context.Context, admin *stack.Admin, file, keyFile string) (demo, error) {
	doc, err := readDemo(file)
	if err != nil {
		return demo{}, err
	}
	var past struct{ Items []struct{ Revision uint64 } }
	if err := admin.Call(ctx, http.MethodGet, "/revisions?limit=1", nil, &past); err != nil {
		return demo{}, fmt.Errorf("look for an earlier configuration: %w", err)
	}
	if len(past.Items) == 0 {
		key, err := applyDemo(ctx, admin, doc, keyFile)
		return demo{Fresh: true, Key: key}, err
	}
	d := demo{Differences: differences(ctx, admin, doc), Key: keptKey(keyFile)}
	if d.Key == "" {
		d.Differences = append(d.Differences, "the demo API key was not kept in "+keyFile+"; create or rotate a key in the console")
	}
	return d, nil
}

// keptKey 是 file 里留着的钥匙；读不到即没有。
func keptKey(file string) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

func readDemo(file string) ([]byte, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read demo configuration: %w", err)
	}
	doc, err := yaml.YAMLToJSONStrict(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return doc, nil
}

// applyDemo 应用演示配置，存下并返回新生成的钥匙。
func applyDemo(ctx context.Context, admin *stack.Admin, doc []byte, keyFile string) (string, error) {
	applied, err := admin.Apply(ctx, doc)
	if err != nil {
		return "", fmt.Errorf("apply the demo configuration: %w", err)
	}
	for _, k := range applied.Keys {
		if k.App != demoApp || k.Name != demoKey {
			continue
		}
		if err := os.WriteFile(keyFile, []byte(k.Secret+"\n"), 0o600); err != nil {
			return "", fmt.Errorf("keep demo key: %w", err)
		}
		return k.Secret, nil
	}
	return "", errors.New("the demo configuration made no key " + demoApp + "/" + demoKey)
}

// differences 试写一遍演示配置，列出它会改什么；试写不成也是一处不同，不是启动的错误。
func differences(ctx context.Context, admin *stack.Admin, doc []byte) []string {
	var would struct {
		Changes []struct {
			Kind, Name, Action string
			Fields             []struct{ Path string }
		}
	}
	if err := admin.Call(ctx, http.MethodPut, "/config?dry_run=true", doc, &would); err != nil {
		return []string{"it cannot be compared with the demo configuration: " + err.Error()}
	}
	var out []string
	for _, c := range would.Changes {
		line := fmt.Sprintf("%s %s is not there", c.Kind, c.Name)
		if c.Action == "updated" {
			paths := make([]string, 0, len(c.Fields))
			for _, f := range c.Fields {
				paths = append(paths, f.Path)
			}
			line = fmt.Sprintf("%s %s has another %s", c.Kind, c.Name, strings.Join(paths, ", "))
		}
		out = append(out, line)
	}
	return out
}
