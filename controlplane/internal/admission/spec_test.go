package admission

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/snapshot"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

// 地址或凭证变了就是另一个上游；指纹里看不见凭证。
func TestIdentity_ChangesWithTheUpstreamAndHidesItsKey(t *testing.T) {
	s := func() *configv1.Server {
		return &configv1.Server{Name: "a", BaseUrl: "http://x/v1", ApiKey: "sk-secret", Headers: []*configv1.Header{{Name: "X", Value: "1"}}}
	}
	same := s()
	same.BurstPercent, same.Limits = 50, &configv1.Limits{MaxConcurrency: 3}
	if identity(same) != identity(s()) || strings.Contains(identity(s()), "sk-secret") {
		t.Fatal("the limits are no part of it, and the key must not show")
	}
	for name, edit := range map[string]func(*configv1.Server){
		"base_url": func(s *configv1.Server) { s.BaseUrl = "http://y/v1" }, "api_key": func(s *configv1.Server) { s.ApiKey = "sk-other" },
		"provider": func(s *configv1.Server) { s.Provider = "other" }, "headers": func(s *configv1.Server) { s.Headers[0].Value = "2" },
	} {
		v := s()
		if edit(v); identity(v) == identity(s()) {
			t.Errorf("%s changed, the identity did not", name)
		}
	}
}

func TestSpecOf_ReadsPlainAndPackedSnapshots(t *testing.T) {
	for _, servers := range []int{1, 300} {
		s := &configv1.Snapshot{Apps: []*configv1.App{{Name: "团队", Limits: &configv1.Limits{TokensPerMinute: 5}}, {Name: "b"}}}
		want := &schedule.Spec{Revision: 9, Apps: []schedule.AppSpec{{Name: "团队", Limits: schedule.Limits{TokensPerMinute: 5}}, {Name: "b"}}}
		for i := range servers {
			name := fmt.Sprintf("gpu-%03d", i)
			s.Servers = append(s.Servers, &configv1.Server{Name: name, BurstPercent: 10, AbortGraceMs: 250,
				Limits: &configv1.Limits{MaxConcurrency: 4, RequestsPerMinute: 60}, Queue: &configv1.Queue{MaxWaiting: 7}, Timeouts: &configv1.Timeouts{TotalMs: 600_000}})
			want.Servers = append(want.Servers, schedule.ServerSpec{Name: name, Identity: identity(s.Servers[i]), BurstPercent: 10, AbortGrace: 250 * time.Millisecond, MaxWaiting: 7,
				Total: 10 * time.Minute, Limits: schedule.Limits{MaxConcurrency: 4, RequestsPerMinute: 60}})
		}
		u, err := snapshot.Encode(9, s)
		if err != nil {
			t.Fatal(err)
		}
		if packed := u.GetEncoding() == configv1.Encoding_ENCODING_ZSTD; packed != (servers > 1) {
			t.Fatalf("%d servers: packed %v", servers, packed)
		}
		got, err := specOf(u)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d servers: %+v %v", servers, got, err)
		}
	}
}

func TestSpecOf_RefusesGarbage(t *testing.T) {
	for _, e := range []configv1.Encoding{configv1.Encoding_ENCODING_IDENTITY, configv1.Encoding_ENCODING_ZSTD} {
		if _, err := specOf(&configv1.SnapshotUpdate{Snapshot: []byte("garbage"), Encoding: e}); err == nil {
			t.Errorf("%v: no error", e)
		}
	}
}
