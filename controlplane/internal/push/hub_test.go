package push

import (
	"sync"
	"testing"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

func testHub() *Hub { return NewHub(NewMetrics(prometheus.NewRegistry())) }

func update(revision uint64, digest string) *configv1.SnapshotUpdate {
	return &configv1.SnapshotUpdate{Revision: revision, Digest: []byte(digest), Snapshot: []byte("snapshot " + digest)}
}

func TestHub_SlowSubscriberSeesOnlyTheNewest(t *testing.T) {
	h := testHub()
	s := h.Subscribe()
	for r := uint64(1); r <= 100; r++ {
		h.Publish(update(r, string(rune('a'+r))))
	}
	if got := (<-s.C()).Update.GetRevision(); got != 100 {
		t.Fatalf("got revision %d", got)
	}
	select {
	case h := <-s.C():
		t.Fatalf("a stale revision %d was kept", h.Update.GetRevision())
	default:
	}
}

func TestHub_TwoHundredSubscribersShareTheSameBytes(t *testing.T) {
	h := testHub()
	subs := make([]*Subscription, 200)
	for i := range subs {
		subs[i] = h.Subscribe()
	}
	u := update(1, "a")
	want := unsafe.SliceData(u.Snapshot)
	h.Publish(u)
	for _, s := range subs {
		head := <-s.C()
		if unsafe.SliceData(head.full.GetUpdate().GetSnapshot()) != want || head != h.Head() {
			t.Fatal("a subscriber got its own copy")
		}
	}
}

func TestHub_SameRevisionAndDigestIsNotPublishedAgain(t *testing.T) {
	h := testHub()
	if !h.Publish(update(3, "a")) || h.Publish(update(3, "a")) {
		t.Fatal("the same content must be published exactly once")
	}
	if !h.Publish(update(3, "b")) || !h.Publish(update(2, "a")) || h.Revision() != 2 {
		t.Fatal("other content, or a database that went back, must be published")
	}
}

func TestHub_LateSubscriberGetsTheHeadAndNothingAfterClose(t *testing.T) {
	h := testHub()
	h.Publish(update(1, "a"))
	s := h.Subscribe()
	if (<-s.C()).Update.GetRevision() != 1 {
		t.Fatal("no head")
	}
	s.Close()
	h.Publish(update(2, "b"))
	select {
	case <-s.C():
		t.Fatal("a closed subscription got an update")
	default:
	}
}

func TestHub_ConcurrentPublishAndSubscribeEndAtTheNewest(t *testing.T) {
	h := testHub()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			s := h.Subscribe()
			defer s.Close()
			for head := range s.C() {
				if head.Update.GetRevision() == 500 {
					return
				}
			}
		})
	}
	for r := uint64(1); r <= 500; r++ {
		h.Publish(update(r, "d"))
	}
	wg.Wait()
}
