// Package catalogtest 造随机的、自身合规的声明式文档，供性质测试。名字取自很小的集合，于是各次文档常常相撞。
package catalogtest

import (
	"encoding/json"
	"fmt"

	"pgregory.net/rapid"
)

type object = map[string]any

// Secrets 是文档里可能写死的 secret，共四个。
func Secrets() []string {
	list := make([]string, 0, 4)
	for i := range 4 {
		list = append(list, fmt.Sprintf("fixed-secret-number-%d-0123456789abcdef", i))
	}
	return list
}

// Document 抽一份文档的 JSON。文档内的引用都成立，但同一个 secret 可能被两把 key 争用。
func Document(t *rapid.T) []byte {
	servers := subset(t, "servers", []string{"s1", "s2", "s3"})
	doc := object{"servers": drawServers(t, servers), "models": drawModels(t, servers), "apps": drawApps(t, servers)}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func subset(t *rapid.T, label string, from []string) []string {
	list := []string{}
	for _, name := range from {
		if rapid.Bool().Draw(t, label+" "+name) {
			list = append(list, name)
		}
	}
	return list
}

func drawServers(t *rapid.T, names []string) []object {
	list := []object{}
	for _, name := range names {
		s := object{"name": name, "base_url": rapid.SampledFrom([]string{"http://a:1/v1", "http://b:2"}).Draw(t, "base_url")}
		if rapid.Bool().Draw(t, "limited") {
			s["limits"] = object{"max_concurrency": rapid.Int64Range(0, 3).Draw(t, "max_concurrency")}
		}
		if rapid.Bool().Draw(t, "headers") {
			s["headers"] = object{"X-Team": rapid.SampledFrom([]string{"infra", "ml"}).Draw(t, "X-Team")}
		}
		if rapid.Bool().Draw(t, "credential") {
			s["api_key"] = rapid.SampledFrom([]string{"", "sk-first-credential", "sk-second-credential"}).Draw(t, "api_key")
		}
		list = append(list, s)
	}
	return list
}

func drawModels(t *rapid.T, servers []string) []object {
	list := []object{}
	if len(servers) == 0 {
		return list
	}
	for i, name := range subset(t, "models", []string{"m1", "org/m2"}) {
		m := object{"name": name, "targets": []object{{"server": rapid.SampledFrom(servers).Draw(t, "target"),
			"upstream_model": "up", "weight": rapid.Int64Range(1, 3).Draw(t, "weight")}}}
		if i > 0 && rapid.Bool().Draw(t, "fallback") {
			m["fallbacks"] = []string{list[0]["name"].(string)}
		}
		if rapid.Bool().Draw(t, "priced") {
			m["prices"] = object{"input_per_million": rapid.SampledFrom([]float64{0, 0.1, 2.5}).Draw(t, "price")}
		}
		list = append(list, m)
	}
	return list
}

func drawApps(t *rapid.T, servers []string) []object {
	list := []object{}
	for _, name := range subset(t, "apps", []string{"a1", "a2", "a3"}) {
		a := object{"name": name, "weight": rapid.Int64Range(1, 2).Draw(t, "app weight")}
		if len(servers) > 0 && rapid.Bool().Draw(t, "default") {
			a["default_server"] = rapid.SampledFrom(servers).Draw(t, "default_server")
		}
		if rapid.Bool().Draw(t, "budgeted") {
			a["budget"] = rapid.SampledFrom([]object{{}, {"amount": 100.5}, {"tokens": 7, "period": "day", "time_zone": "Asia/Shanghai", "soft_percent": 0}}).Draw(t, "budget")
		}
		if rapid.Bool().Draw(t, "keyed") {
			a["keys"] = drawKeys(t)
		}
		list = append(list, a)
	}
	return list
}

func drawKeys(t *rapid.T) []object {
	list := []object{}
	for _, name := range subset(t, "keys", []string{"k1", "k2"}) {
		k := object{"name": name}
		if rapid.IntRange(0, 2).Draw(t, "fixed") == 0 {
			k["secret"] = rapid.SampledFrom(Secrets()).Draw(t, "secret")
		}
		if rapid.Bool().Draw(t, "expires") {
			k["expires_at"] = rapid.SampledFrom([]string{"2030-01-01T00:00:00Z", "2031-06-01T12:00:00.5+02:00"}).Draw(t, "expires_at")
		}
		list = append(list, k)
	}
	return list
}
