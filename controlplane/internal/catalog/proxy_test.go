package catalog

import (
	"strings"
	"testing"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

func proxied(proxy string) string {
	return `{"servers": [{"name": "s", "base_url": "http://a", "proxy_url": "` + proxy + `"}]}`
}

func TestProxyPassword_IsNeverShownAndComesBackUnchanged(t *testing.T) {
	s := newStore()
	const whole = "http://me:hunter2@proxy:3128"
	s.apply(t, proxied(whole), ApplyOptions{})
	view, _ := s.cur.ServerView("s")
	for _, shown := range []string{asJSON(t, s.cur.Export()), asJSON(t, view), asJSON(t, s.cur.ServerViews())} {
		if strings.Contains(shown, "hunter2") || !strings.Contains(shown, "me:xxxxx@proxy") {
			t.Errorf("shown: %s", shown)
		}
	}
	before := s.cur.Revision
	s.apply(t, asJSON(t, s.cur.Export()), ApplyOptions{Prune: true})
	if s.cur.Revision != before || s.cur.Servers["s"].ProxyURL != whole {
		t.Errorf("revision %d, proxy %q", s.cur.Revision, s.cur.Servers["s"].ProxyURL)
	}
}

func TestProxyPassword_HiddenOneFitsOnlyItsOwnProxy(t *testing.T) {
	s := newStore()
	for _, doc := range []string{proxied("http://me:xxxxx@proxy:3128")} {
		_, _, err := Apply(s.cur, parse(t, doc), ApplyOptions{}, testMint())
		wantCode(t, err, vegaerr.Conflict)
	}
	s.apply(t, proxied("http://me:hunter2@proxy:3128"), ApplyOptions{})
	for _, other := range []string{"http://me:xxxxx@evil:3128", "http://you:xxxxx@proxy:3128", "socks5://me:xxxxx@proxy:3128"} {
		_, _, err := Apply(s.cur, parse(t, proxied(other)), ApplyOptions{}, testMint())
		if e := wantCode(t, err, vegaerr.Conflict); len(e.Problems) != 1 || e.Problems[0].Path != "servers[s].proxy_url" {
			t.Errorf("%s: %+v", other, e.Problems)
		}
	}
}

func TestProxyPassword_ItsChangeIsSeenAndRollbackKeepsTheNewOne(t *testing.T) {
	s := newStore()
	s.apply(t, proxied("http://me:first@proxy:3128"), ApplyOptions{})
	then := s.cur
	s.apply(t, proxied("http://me:second@proxy:3128"), ApplyOptions{})
	items := Diff(then, s.cur)
	if len(items) != 1 || len(items[0].Fields) != 1 || strings.Contains(items[0].String(), "first") || strings.Contains(items[0].String(), "second") {
		t.Errorf("diff: %v", items)
	}
	s.must(t, Rollback(s.cur, then), nil)
	if got := s.cur.Servers["s"].ProxyURL; got != "http://me:second@proxy:3128" {
		t.Errorf("rolled back to %q", got)
	}
}
