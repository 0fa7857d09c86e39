package admit

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/share"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// awaitShare 等到盘上有了一份份额。
func awaitShare(t *testing.T, file *share.File) {
	t.Helper()
	time.Sleep(5 * time.Second)
	if stored, err := file.Load(); err != nil || len(stored.GetAmounts()) == 0 {
		t.Fatalf("no share to give up: %v %v", stored, err)
	}
}

func depart(t *testing.T, g *Gate) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	g.Depart(ctx)
}

func TestDepart_TakesTheShareOffTheDiskBeforeTheGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(10))})
		l, file := newLeader(specOf(st)), share.New(t.TempDir(), "node")
		g, leave := join(t, l, "node", st, func(_ *Config, d *Deps) { d.Save = file.Save })
		defer leave()
		awaitShare(t, file)
		depart(t, g)
		stored, err := file.Load()
		if err != nil || stored.GetVersion() != 0 || len(stored.GetAmounts()) != 0 {
			t.Errorf("on disk after the goodbye: %v %v", stored, err)
		}
		if left := l.Members(); len(left) != 0 {
			t.Errorf("still a member: %+v", left)
		}
	})
}

func TestDepart_KeepsItsShareWhenTheDiskTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(10))})
		l, file := newLeader(specOf(st)), share.New(t.TempDir(), "node")
		full := false // 只在没有人存的时候改
		g, leave := join(t, l, "node", st, func(_ *Config, d *Deps) {
			d.Save = func(s *admissionv1.Share) error {
				if full {
					return errors.New("disk full")
				}
				return file.Save(s)
			}
		})
		defer leave()
		awaitShare(t, file)
		full = true
		depart(t, g)
		if left := l.Members(); len(left) != 1 || len(left[0].Shares) == 0 {
			t.Errorf("its share is given away though a restart would use it: %+v", left)
		}
	})
}
