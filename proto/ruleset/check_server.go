package ruleset

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

const (
	maxQueueTimeoutMs = 3_600_000
	maxWaiting        = 1_000_000
	maxTimeoutMs      = 24 * 3_600_000
	maxAbortGraceMs   = 60_000
	maxDrainTimeoutMs = 600_000
	maxDrainTokens    = 10_000_000
	maxDrains         = 100_000
	maxURLLen         = 2_048
	maxCredentialLen  = 8_192
)

func (c *checker) server(it item, s *configv1.Server) {
	it.name(s.GetName())
	it.unique(c.servers, s.GetName())
	if !slices.Contains(Providers(), s.GetProvider()) {
		it.bad("provider", "unknown provider %q; known: %s", s.GetProvider(), strings.Join(Providers(), ", "))
	}
	if why := badBaseURL(s.GetBaseUrl()); why != "" {
		it.bad("base_url", "%s", why)
	}
	if !validCredential(s.GetApiKey()) {
		it.bad("api_key", "must be at most %d printable ASCII characters without spaces", maxCredentialLen)
	}
	it.limits(s.GetLimits())
	it.queue(s.GetQueue())
	it.timeouts(s.GetTimeouts())
	it.between("abort_grace_ms", s.GetAbortGraceMs(), 0, maxAbortGraceMs)
	it.between("burst_percent", s.GetBurstPercent(), 1, 100)
	enum(it, "on_disconnect", s.GetOnDisconnect(), configv1.OnDisconnect_name)
	it.drain(s.GetDrainLimits())
	enum(it, "stream_usage", s.GetStreamUsage(), configv1.StreamUsage_name)
	it.headers(s.GetHeaders())
	if why := badCAPEM(s.GetCaPem()); why != "" {
		it.bad("ca_pem", "%s", why)
	}
	if why := badProxyURL(s.GetProxyUrl()); why != "" {
		it.bad("proxy_url", "%s", why)
	}
}

// queue 查等待的规矩：timeout_ms 1 ms 至 1 小时，max_waiting 0（谁也不等）至一百万。
func (it item) queue(q *configv1.Queue) {
	if q == nil {
		return
	}
	it.between("queue.timeout_ms", q.GetTimeoutMs(), 1, maxQueueTimeoutMs)
	it.between("queue.max_waiting", q.GetMaxWaiting(), 0, maxWaiting)
}

// drain 查客户端走后收到哪里：每一项至少 1，什么也不收的是 on_disconnect cancel；时间至多十分钟。
func (it item) drain(d *configv1.DrainLimits) {
	if d == nil {
		return
	}
	it.between("drain.timeout_ms", d.GetTimeoutMs(), 1, maxDrainTimeoutMs)
	it.between("drain.max_tokens", d.GetMaxTokens(), 1, maxDrainTokens)
	it.between("drain.max_concurrency", d.GetMaxConcurrency(), 1, maxDrains)
}

// timeouts 查各项期限。first_byte_ms 与 idle_ms 大于 total_ms 无害（总期限先到），因此不拒；
// connect_ms 大于 total_ms 多半是把两者写反了。
func (it item) timeouts(t *configv1.Timeouts) {
	if t == nil {
		return
	}
	it.between("timeouts.connect_ms", t.GetConnectMs(), 1, maxTimeoutMs)
	it.between("timeouts.first_byte_ms", t.GetFirstByteMs(), 1, maxTimeoutMs)
	it.between("timeouts.idle_ms", t.GetIdleMs(), 1, maxTimeoutMs)
	it.between("timeouts.total_ms", t.GetTotalMs(), 1, maxTimeoutMs)
	if t.GetTotalMs() >= 1 && t.GetConnectMs() > t.GetTotalMs() {
		it.bad("timeouts.connect_ms", "must not exceed total_ms (%d), got %d", t.GetTotalMs(), t.GetConnectMs())
	}
}

// badBaseURL 说地址哪里不对，空即合格。地址里可能误写了口令，因此从不回显。
func badBaseURL(s string) string {
	u, why := parseURL(s, "http", "https")
	switch {
	case why != "":
		return why
	case u.User != nil:
		return "must not contain user information; put the credential in api_key"
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return "must not contain a query or a fragment"
	}
	return ""
}

// badProxyURL 说代理地址哪里不对；空串即直连，合格。口令可以写在里面，因此从不回显。
func badProxyURL(s string) string {
	if s == "" {
		return ""
	}
	u, why := parseURL(s, "http", "https", "socks5")
	switch {
	case why != "":
		return why
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.ForceQuery, strings.Contains(s, "#"):
		return "must not contain a path, a query or a fragment"
	}
	return ""
}

func parseURL(s string, schemes ...string) (*url.URL, string) {
	want := "must be a URL that starts with " + strings.Join(schemes, ":// or ") + ":// and names a host"
	if s == "" {
		return nil, "required; " + want
	}
	if len(s) > maxURLLen {
		return nil, fmt.Sprintf("must be at most %d bytes", maxURLLen)
	}
	u, err := url.Parse(s)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" || strings.ContainsAny(s, " \t\r\n") {
		return nil, want
	}
	if strings.HasSuffix(u.Host, ":") {
		return nil, "the port is empty"
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, "the port must be between 1 and 65535"
		}
	}
	return u, ""
}

// validCredential 说凭证能不能原样放进头部；空即没有凭证。
func validCredential(s string) bool {
	if len(s) > maxCredentialLen {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
