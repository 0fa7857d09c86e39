package adminapi_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

var _ adminapi.Settings = (*postgres.Store)(nil)

// settings 是内存里的设置。
type settings struct {
	mu      sync.Mutex
	current usage.Settings
	version uint64
}

func newSettings() *settings { return &settings{current: usage.DefaultSettings(), version: 1} }

func (s *settings) LoadSettings(context.Context) (usage.Settings, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, s.version, nil
}

func (s *settings) SaveSettings(_ context.Context, next usage.Settings, check func(uint64) error) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := check(s.version); err != nil {
		return s.version, err
	}
	if next != s.current {
		s.current, s.version = next, s.version+1
	}
	return s.version, nil
}

func TestSettings_AreReadWrittenWholeAndGuardedByTheirETag(t *testing.T) {
	flow := func(t *testing.T, b *bench) {
		var got usage.Settings
		r := b.call("GET", "/settings", "").want(200)
		if r.into(&got); got != usage.DefaultSettings() || r.Header.Get("ETag") != `"1"` {
			t.Fatalf("%s %s", r.Header.Get("ETag"), r.body)
		}
		r = b.call("PUT", "/settings", `{"retention":{"minutes_days":3},"time_zone":"Asia/Shanghai","currency":"CNY"}`, "If-Match", `"1"`).want(200)
		r.into(&got)
		want := usage.DefaultSettings()
		want.Retention.MinutesDays, want.TimeZone, want.Currency = 3, "Asia/Shanghai", "CNY"
		if got != want || r.Header.Get("ETag") != `"2"` {
			t.Fatalf("%s %s", r.Header.Get("ETag"), r.body)
		}
		if p := b.call("PUT", "/settings", `{}`, "If-Match", `"1"`).want(412).problem(); p.Code != "precondition_failed" {
			t.Errorf("%+v", p)
		}
		r = b.call("PUT", "/settings", string(r.body), "If-Match", "*").want(200)
		if r.Header.Get("ETag") != `"2"` {
			t.Errorf("writing the same made version %s", r.Header.Get("ETag"))
		}
		if b.call("GET", "/settings", "").want(200).into(&got); got != want {
			t.Errorf("%+v", got)
		}
	}
	t.Run("memory", func(t *testing.T) { flow(t, newBench(t, newMemory())) })
	t.Run("postgres", func(t *testing.T) {
		s := openPostgres(t)
		flow(t, newBench(t, s, func(_ *adminapi.Config, d *adminapi.Deps) { d.Settings = s }))
	})
}

func TestSettings_EveryDefectIsNamedAtOnceAndNothingWritten(t *testing.T) {
	b := newBench(t, newMemory())
	p := b.bad("PUT", "/settings", `{"retention":{"minutes_days":0,"hours_days":900,"days_days":30,"requests_days":99999},
		"requests":{"sample":1.5},"time_zone":"Mars/Olympus","currency":"usd"}`).want(400).problem()
	var paths []string
	for _, e := range p.Errors {
		paths = append(paths, e.Path)
	}
	if got := strings.Join(paths, " "); got != "retention.minutes_days retention.requests_days retention.hours_days requests.sample time_zone currency" {
		t.Errorf("%s", got)
	}
	for _, body := range []string{`{"retention":{"weeks":1}}`, `[]`, `{} {}`, `{}}`, `null`, `{"retention":{"hours_days":31,"minutes_days":7}}`, `{"requests":{"sample":"all"}}`, ``} {
		b.bad("PUT", "/settings", body, "Content-Type", "application/json").want(400)
	}
	b.bad("PUT", "/settings?dry_run=true", `{}`).want(400)
	if r := b.call("GET", "/settings", "").want(200); r.Header.Get("ETag") != `"1"` {
		t.Errorf("something was written: %s", r.body)
	}
}

func TestSettings_TheTimeZoneIsTheOneOfReportsThatNameNone(t *testing.T) {
	b := newBench(t, newMemory())
	b.call("PUT", "/settings", `{"time_zone":"Asia/Shanghai"}`).want(200)
	for query, want := range map[string]string{"": "Asia/Shanghai", "?time_zone=UTC": "UTC", "?tz=Asia/Kolkata": "Asia/Kolkata"} {
		b.call("GET", "/usage"+query, "").want(200)
		if got := b.usage.asked.TimeZone; got != want {
			t.Errorf("/usage%s: %s, want %s", query, got, want)
		}
	}
	// 供应商的日子不随我们的设置变。
	b.call("POST", "/usage/reconcile", "day,model,requests\n2026-11-01,m,1\n", "Content-Type", "text/csv").want(200)
	if got := b.usage.asked.TimeZone; got != "UTC" {
		t.Errorf("an export is read in %s", got)
	}
}
