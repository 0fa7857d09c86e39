package cli

import (
	"bytes"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// fieldName 是各代 YAML 都读成字符串的键；别的（如名为 on 的头）留着引号。
var fieldName = regexp.MustCompile(`^[a-z][a-z_]{3,}$`)

// toYAML 把 JSON 写成块状的 YAML，字段的次序不变，好读也好比较。
// 字符串一律留着引号：no、1e3、2030-01-01 在各代 YAML 里意思不同，带引号则只有一种读法。
func toYAML(document []byte) ([]byte, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(document, &root); err != nil {
		return nil, fmt.Errorf("read the exported document: %w", err)
	}
	restyle(&root)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&root); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return b.Bytes(), enc.Close()
}

func restyle(n *yaml.Node) {
	switch n.Kind {
	case yaml.DocumentNode, yaml.SequenceNode:
		n.Style = block(n)
	case yaml.MappingNode:
		n.Style = block(n)
		for i := 0; i < len(n.Content); i += 2 {
			if key := n.Content[i]; fieldName.MatchString(key.Value) && key.Value != "true" && key.Value != "false" && key.Value != "null" {
				key.Style = 0
			}
		}
	}
	for _, child := range n.Content {
		restyle(child)
	}
}

// block 让空的仍写成 [] 与 {}。
func block(n *yaml.Node) yaml.Style {
	if len(n.Content) == 0 {
		return yaml.FlowStyle
	}
	return 0
}
