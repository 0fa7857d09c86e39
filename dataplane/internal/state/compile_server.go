package state

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

func compileServer(v *configv1.Server) (*Server, error) {
	base, err := url.Parse(v.GetBaseUrl())
	if err != nil {
		return nil, fmt.Errorf("server %q: parse base_url", v.GetName()) // 原因里有地址全文，不带
	}
	var proxy *url.URL
	if v.GetProxyUrl() != "" {
		if proxy, err = url.Parse(v.GetProxyUrl()); err != nil {
			return nil, fmt.Errorf("server %q: parse proxy_url", v.GetName())
		}
	}
	queue, timeouts, drain := v.GetQueue(), v.GetTimeouts(), v.GetDrainLimits()
	if drain == nil {
		drain = ruleset.DefaultDrainLimits()
	}
	if queue == nil {
		queue = ruleset.DefaultQueue()
	}
	if timeouts == nil {
		timeouts = ruleset.DefaultTimeouts(0)
	}
	s := &Server{
		Name: v.GetName(), Provider: v.GetProvider(), BaseURL: base, APIKey: v.GetApiKey(), Enabled: v.GetEnabled(),
		Limits:       limits(v.GetLimits()),
		QueueTimeout: ms(queue.GetTimeoutMs()), MaxWaiting: int(queue.GetMaxWaiting()),
		Connect: ms(timeouts.GetConnectMs()), FirstByte: ms(timeouts.GetFirstByteMs()),
		Idle: ms(timeouts.GetIdleMs()), Total: ms(timeouts.GetTotalMs()),
		AbortGrace: ms(v.GetAbortGraceMs()), BurstPercent: int(v.GetBurstPercent()),
		Drain:       v.GetOnDisconnect() == configv1.OnDisconnect_ON_DISCONNECT_DRAIN,
		DrainLimits: DrainLimits{Timeout: ms(drain.GetTimeoutMs()), MaxTokens: drain.GetMaxTokens(), MaxConcurrency: drain.GetMaxConcurrency()},
		StreamUsage: streamUsage(v.GetStreamUsage()),
		Headers:     make(http.Header, len(v.GetHeaders())),
		CAPEM:       v.GetCaPem(), ProxyURL: proxy,
	}
	for _, h := range v.GetHeaders() {
		s.Headers.Set(h.GetName(), h.GetValue())
	}
	s.Link = fingerprint(base.Scheme, base.Host, v.GetCaPem(), v.GetProxyUrl(), s.Connect.String())
	s.Identity = identity(v)
	return s, nil
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func streamUsage(u configv1.StreamUsage) StreamUsage {
	switch u {
	case configv1.StreamUsage_STREAM_USAGE_ALWAYS:
		return StreamUsageAlways
	case configv1.StreamUsage_STREAM_USAGE_NEVER:
		return StreamUsageNever
	}
	return StreamUsageAuto
}

// identity 连同自定的头部：凭证也可能写在那里。
func identity(v *configv1.Server) [sha256.Size]byte {
	parts := []string{v.GetProvider(), v.GetBaseUrl(), v.GetApiKey()}
	for _, h := range v.GetHeaders() {
		parts = append(parts, h.GetName(), h.GetValue())
	}
	return fingerprint(parts...)
}

// fingerprint 在每一段前写长度，段与段的边界因此不会混淆。
func fingerprint(parts ...string) [sha256.Size]byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return [sha256.Size]byte(h.Sum(nil))
}
