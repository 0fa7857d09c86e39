package proof

import (
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// kind 是混合负荷里的一种请求；它的公开模型名与上游模型名都是 name，账上就分得清。
type kind struct {
	name    string
	share   int           // 在一百个里占几个
	stream  int           // 一百个里有几个是流
	abort   time.Duration // 大于 0：客户端在写出之后这么久之内随机挂断
	path    string        // 空即 /chat/completions
	servers []string      // 目标
	prelude string        // 回退：没有这个名字的模型能服务时用它
}

// kinds 是全部的几种：正常的、客户端走的、上游出各种错的、没有用量的、要重试与回退的。
func kinds() []kind {
	both := []string{"a", "b"}
	return []kind{
		{name: "json", share: 22, servers: both},
		{name: "stream", share: 20, stream: 100, servers: both},
		{name: "long", share: 6, stream: 100, servers: both},
		{name: "embed", share: 6, path: "/embeddings", servers: both},
		{name: "abort", share: 12, stream: 70, abort: 250 * time.Millisecond, servers: both},
		{name: "silent", share: 6, stream: 50, servers: both},
		{name: "flaky", share: 7, stream: 50, servers: both},
		{name: "busy", share: 4, servers: both},
		{name: "cut", share: 4, stream: 60, servers: []string{"b"}},
		{name: "drop", share: 2, servers: []string{"a"}},
		{name: "late", share: 2, servers: []string{"late"}},
		{name: "e400", share: 3, stream: 30, servers: both},
		{name: "e500", share: 3, stream: 30, servers: both},
		{name: "fall", share: 3, servers: []string{"bad"}, prelude: "json"},
	}
}

// mixture 声明这几种模型、四个 server（同一个上游，凭证不同，账上由此认得）与两个 app。
func (f *fleet) mixture() doc {
	server := func(name string, more doc) doc {
		d := f.server(name, more)
		d["api_key"] = "sk-" + name
		return d
	}
	models := list{}
	for _, k := range kinds() {
		targets := list{}
		for _, s := range k.servers {
			targets = append(targets, doc{"server": s, "upstream_model": k.name})
		}
		m := doc{"name": k.name, "targets": targets,
			"prices": doc{"input_per_million": 2.5, "cached_input_per_million": 1.25, "output_per_million": 10, "currency": "USD"}}
		if k.prelude != "" {
			m["fallbacks"] = list{k.prelude}
		}
		models = append(models, m)
	}
	return doc{"models": models, "apps": list{app("team-a", 1), app("team-b", 1)}, "servers": list{
		server("a", nil), server("b", nil), server("bad", nil), server("late", doc{"timeouts": doc{"first_byte_ms": 300}})}}
}

// scripted 是上游对每种请求怎样作答；由请求号定，所以重放同一个请求号答得一样。
func scripted(r *upstreamtest.Request) upstreamtest.Behavior {
	h := fnv.New64a()
	_, _ = io.WriteString(h, r.ID)
	rng := rand.New(rand.NewPCG(h.Sum64(), 1))
	b := r.Default
	b.Latency = time.Duration(rng.IntN(40)) * time.Millisecond
	b.Chunks, b.ChunkDelay = 4+rng.IntN(10), time.Duration(5+rng.IntN(15))*time.Millisecond
	b.CachedTokens, b.ReasoningTokens = rng.IntN(5), rng.IntN(9)
	if strings.HasSuffix(r.Path, "/embeddings") { // 它的用量只有输入
		b.CachedTokens, b.ReasoningTokens = 0, 0
	}
	first := strings.HasSuffix(r.ID, "-1")
	switch r.Model {
	case "long":
		b.Chunks, b.ChunkDelay = 60, 30*time.Millisecond
		if rng.IntN(2) == 0 {
			b.Usage = upstreamtest.UsageCumulative
		}
	case "abort":
		b.Chunks, b.Latency = 20, time.Duration(20+rng.IntN(80))*time.Millisecond
	case "silent":
		b.Usage = upstreamtest.UsageMissing
	case "flaky":
		if first && rng.IntN(2) == 0 {
			b.Status = http.StatusServiceUnavailable
		}
	case "busy":
		if first && rng.IntN(3) == 0 {
			b.Status, b.RetryAfterMS = http.StatusTooManyRequests, "20"
		}
	case "cut":
		b.Half, b.HalfAfter = []string{upstreamtest.CutReset, upstreamtest.CutFIN, upstreamtest.CutShort}[rng.IntN(3)], 1+rng.IntN(3)
	case "drop":
		b.Drop = upstreamtest.CutReset
	case "late":
		b.Latency = 2 * time.Second
	case "e400":
		b.Status = http.StatusBadRequest
	case "e500", "fall":
		b.Status = http.StatusInternalServerError
	}
	return b
}
