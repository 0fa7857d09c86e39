package admission

import (
	"crypto/sha256"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/vega-gateway/vega/controlplane/internal/snapshot"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

// specOf 取出一版配置与准入有关的部分；停用的 server 也在内，它们可能还有在途的。
func specOf(u *configv1.SnapshotUpdate) (*schedule.Spec, error) {
	raw, err := snapshot.Decode(u)
	if err != nil {
		return nil, err
	}
	var s configv1.Snapshot
	if err := proto.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("decode snapshot: %w", err)
	}
	spec := &schedule.Spec{Revision: u.GetRevision()}
	for _, x := range s.GetServers() {
		spec.Servers = append(spec.Servers, schedule.ServerSpec{
			Name: x.GetName(), Identity: identity(x), Limits: limitsOf(x.GetLimits()), BurstPercent: x.GetBurstPercent(), MaxWaiting: x.GetQueue().GetMaxWaiting(),
			Total:      time.Duration(x.GetTimeouts().GetTotalMs()) * time.Millisecond,
			AbortGrace: time.Duration(x.GetAbortGraceMs()) * time.Millisecond,
		})
	}
	for _, x := range s.GetApps() {
		spec.Apps = append(spec.Apps, schedule.AppSpec{Name: x.GetName(), Limits: limitsOf(x.GetLimits())})
	}
	return spec, nil
}

// identity 是一个上游的地址与凭证的指纹；凭证也可能写在自定的头部里。不是凭证本身：Spec 会被打印。
func identity(x *configv1.Server) string {
	h := sha256.New()
	for _, part := range append([]string{x.GetProvider(), x.GetBaseUrl(), x.GetApiKey()}, headers(x)...) {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return string(h.Sum(nil))
}

func headers(x *configv1.Server) (list []string) {
	for _, v := range x.GetHeaders() {
		list = append(list, v.GetName(), v.GetValue())
	}
	return list
}

func limitsOf(l *configv1.Limits) schedule.Limits {
	return schedule.Limits{
		MaxConcurrency: l.GetMaxConcurrency(), RequestsPerMinute: l.GetRequestsPerMinute(), TokensPerMinute: l.GetTokensPerMinute()}
}
