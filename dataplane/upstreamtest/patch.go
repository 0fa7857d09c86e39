package upstreamtest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"time"
)

// Patch 是对 Behavior 若干字段的改写；没有提到的字段不动。零值什么也不改。
type Patch struct {
	source map[string][]string
	fields []assignment
}

type assignment struct {
	index int
	value reflect.Value
}

// ParsePatch 读 URL 查询形式，如 "latency=200ms&chunks=64&no_done"；只有名字的布尔键为真。
// 不认识的键与不合法的值都是错误：写错的剧本不应当悄悄地变成正常的应答。
func ParsePatch(query string) (Patch, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return Patch{}, fmt.Errorf("parse directives: %w", err)
	}
	return compilePatch(values)
}

// UnmarshalJSON 读 {"latency":"200ms","chunks":3,"header":["A: b"]}：键与查询形式相同。
func (p *Patch) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return fmt.Errorf("parse behavior: %w", err)
	}
	values := make(map[string][]string, len(raw))
	for key, value := range raw {
		texts, err := plainTexts(value)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		values[key] = texts
	}
	compiled, err := compilePatch(values)
	if err != nil {
		return err
	}
	*p = compiled
	return nil
}

// MarshalJSON 给出键到原文的表。
func (p Patch) MarshalJSON() ([]byte, error) { return json.Marshal(p.source) }

func plainTexts(raw json.RawMessage) ([]string, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return []string{s}, err
	case '[':
		var list []string
		err := json.Unmarshal(raw, &list)
		return list, err
	case '{', 'n':
		return nil, fmt.Errorf("want a string, a number, a boolean or an array of strings")
	}
	return []string{string(raw)}, nil
}

func compilePatch(values map[string][]string) (Patch, error) {
	p := Patch{source: values}
	rest := len(values)
	t := reflect.TypeFor[Behavior]()
	for i := range t.NumField() {
		key := t.Field(i).Tag.Get("fake")
		texts, ok := values[key]
		if key == "" || !ok {
			continue
		}
		rest--
		v, err := parseField(t.Field(i).Type, texts)
		if err != nil {
			return Patch{}, fmt.Errorf("%s: %w", key, err)
		}
		p.fields = append(p.fields, assignment{index: i, value: v})
	}
	if rest > 0 {
		return Patch{}, fmt.Errorf("unknown directive %q", unknownKey(t, values))
	}
	var probe Behavior
	p.Apply(&probe)
	return p, probe.validate()
}

func unknownKey(t reflect.Type, values map[string][]string) string {
	known := make(map[string]bool)
	for i := range t.NumField() {
		known[t.Field(i).Tag.Get("fake")] = true
	}
	for key := range values {
		if key == "" || !known[key] {
			return key
		}
	}
	return ""
}

func parseField(t reflect.Type, texts []string) (reflect.Value, error) {
	if t.Kind() == reflect.Slice {
		return reflect.ValueOf(texts), nil
	}
	if len(texts) != 1 {
		return reflect.Value{}, fmt.Errorf("given %d times, want once", len(texts))
	}
	text := texts[0]
	switch {
	case t == reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(text)
		if err == nil && d < 0 {
			err = fmt.Errorf("negative duration %s", d)
		}
		return reflect.ValueOf(d), err
	case t.Kind() == reflect.Bool:
		if text == "" {
			return reflect.ValueOf(true), nil
		}
		v, err := strconv.ParseBool(text)
		return reflect.ValueOf(v), err
	case t.Kind() == reflect.Int:
		v, err := strconv.Atoi(text)
		return reflect.ValueOf(v), err
	}
	return reflect.ValueOf(text).Convert(t), nil
}

// Apply 把改写落到 b 上。
func (p Patch) Apply(b *Behavior) {
	if len(p.fields) == 0 {
		return
	}
	v := reflect.ValueOf(b).Elem()
	for _, f := range p.fields {
		v.Field(f.index).Set(f.value)
	}
}
