package subscribe

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"

	"github.com/vega-gateway/vega/dataplane/internal/controltest"
	"github.com/vega-gateway/vega/dataplane/internal/state"
)

const token = controltest.DefaultJoinToken

func newStore(dir string) *store { return &store{dir: dir, token: token, maxBytes: 1 << 20} }

func mustSave(t *testing.T, s *store, u *configv1.SnapshotUpdate) {
	t.Helper()
	if err := s.save(u); err != nil {
		t.Fatal(err)
	}
}

func boot(t *testing.T, dir string) *state.State {
	t.Helper()
	h := state.New()
	newSubscriber(t, &refusing{}, dir, h, nil).Boot()
	return h.Load()
}

func TestSeal_OpensOnlyWithTheSameTokenAndUnchanged(t *testing.T) {
	u := controltest.Update(t, 3, snapshot("m"))
	data, err := seal(token, u)
	if err != nil {
		t.Fatal(err)
	}
	got, err := open(token, data)
	if err != nil || !proto.Equal(got, u) {
		t.Fatalf("%v %v", got, err)
	}
	if _, err := open(token+"x", data); err == nil {
		t.Error("another token opens it")
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if _, err := open(token, bad); err == nil {
			t.Fatalf("a change of byte %d goes unnoticed", i)
		}
		if _, err := open(token, data[:i]); err == nil {
			t.Fatalf("a file cut at %d opens", i)
		}
	}
	if again, _ := seal(token, u); bytes.Equal(again[headLen:], data[headLen:]) {
		t.Error("key and nonce are reused")
	}
	secret := []byte("gpu-1")
	if bytes.Contains(data, secret) {
		t.Error("readable on disk")
	}
}

func TestStore_KeepsTwoGenerations(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on demand")
	s := newStore(dir)
	for rev, model := range []string{"zero", "one", "two"} {
		mustSave(t, s, controltest.Update(t, uint64(rev), snapshot(model)))
	}
	for gen, want := range []uint64{2, 1} {
		u, err := s.load(gen)
		if err != nil || u.GetRevision() != want {
			t.Errorf("generation %d: revision %d, %v", gen, u.GetRevision(), err)
		}
		if info, _ := os.Stat(s.path(gen)); info.Mode().Perm() != 0o600 {
			t.Errorf("%v", info.Mode())
		}
	}
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Errorf("%v", info.Mode())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestStore_SameContentIsNotWrittenAgain(t *testing.T) {
	s := newStore(t.TempDir())
	mustSave(t, s, controltest.Update(t, 1, snapshot("m")))
	before, _ := os.ReadFile(s.path(0))
	mustSave(t, s, controltest.Update(t, 2, snapshot("m")))
	if after, _ := os.ReadFile(s.path(0)); !bytes.Equal(before, after) {
		t.Error("written again")
	}
}

func TestBoot_FallsBackToThePreviousGenerationThenToNothing(t *testing.T) {
	dir := t.TempDir()
	if boot(t, dir) != nil {
		t.Fatal("loaded from an empty directory")
	}
	s := newStore(dir)
	mustSave(t, s, controltest.Update(t, 1, snapshot("one")))
	mustSave(t, s, controltest.Update(t, 2, snapshot("two")))
	if st := boot(t, dir); st == nil || st.Revision != 2 {
		t.Fatalf("%+v", st)
	}
	if err := os.WriteFile(s.path(0), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if st := boot(t, dir); st == nil || st.Revision != 1 {
		t.Fatalf("%+v", st)
	}
	if err := os.Remove(s.path(0)); err != nil { // 两次改名之间死去
		t.Fatal(err)
	}
	if st := boot(t, dir); st == nil || st.Revision != 1 {
		t.Fatalf("%+v", st)
	}
	if err := os.WriteFile(s.path(1), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if st := boot(t, dir); st != nil {
		t.Fatalf("%+v", st)
	}
}

func TestStore_ADamagedNewestNeverPushesOutTheGoodPrevious(t *testing.T) {
	dir := t.TempDir()
	s := newStore(dir)
	mustSave(t, s, controltest.Update(t, 1, snapshot("one")))
	mustSave(t, s, controltest.Update(t, 2, snapshot("two")))
	if err := os.WriteFile(s.path(0), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := newStore(dir)
	fresh.loaded(1, [32]byte{})
	mustSave(t, fresh, controltest.Update(t, 3, snapshot("three")))
	if u, err := fresh.load(1); err != nil || u.GetRevision() != 1 {
		t.Errorf("previous: %v %v", u.GetRevision(), err)
	}
	if u, err := fresh.load(0); err != nil || u.GetRevision() != 3 {
		t.Errorf("newest: %v %v", u.GetRevision(), err)
	}
}

func TestBoot_ContentThatNoLongerCompilesCountsAsAbsent(t *testing.T) {
	dir := t.TempDir()
	s := newStore(dir)
	mustSave(t, s, controltest.Update(t, 1, snapshot("one")))
	bad := snapshot("two")
	bad.Models[0].Targets[0].Server = "gone"
	mustSave(t, s, controltest.Update(t, 2, bad))
	if st := boot(t, dir); st == nil || st.Revision != 1 {
		t.Fatalf("%+v", st)
	}
}

func TestSave_FailureIsShownAndServingGoesOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a file, not a directory")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cp := controltest.Start(t, controltest.Config{})
	n := start(t, cp, file)
	rev := cp.Push(t, snapshot("m"))
	cp.WaitAck(t, rev)
	n.serves(t, rev, "m")
	n.stop()
	if n.LastError() == "" {
		t.Error("the failure is hidden")
	}
	if err := newStore(file).save(controltest.Update(t, 1, snapshot("m"))); err == nil || errors.Is(err, errAbsent) {
		t.Error(err)
	}
}

func TestSave_FailureIsShownUntilItIsStored(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // 同名的文件挡着目录
		t.Fatal(err)
	}
	cp := controltest.Start(t, controltest.Config{})
	n := start(t, cp, dir)
	cp.WaitAck(t, cp.Push(t, snapshot("m")))
	for deadline := time.Now().Add(10 * time.Second); n.LastError() == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the failure is hidden")
		}
	}
	cp.WaitAck(t, cp.Push(t, snapshot("m"))) // 内容没变：没有再存，也没有存好
	if n.LastError() == "" {
		t.Error("an unchanged configuration hides that it is not stored")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	n.stop()
	if text := n.LastError(); text != "" {
		t.Errorf("still shown after it was stored at the end: %q", text)
	}
	if _, err := newStore(dir).load(0); err != nil {
		t.Errorf("not stored at the end: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	u := &configv1.SnapshotUpdate{Revision: 1, Snapshot: []byte("x")}
	data, err := seal(token, u)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(lkgMagic))
	f.Add(append([]byte(lkgMagic), 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := open(token, b); err == nil && !proto.Equal(got, u) {
			t.Errorf("forged: %v", got)
		}
	})
}

// FuzzApply 查的是任何消息都只得到一个 Ack 或 Nack，Nack 保住旧的。
func FuzzApply(f *testing.F) {
	good := snapshot("m")
	plain, err := proto.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain, []byte(nil), int32(1), false)
	f.Add([]byte("\x28\xb5\x2f\xfd"), []byte("x"), int32(2), true)
	f.Fuzz(func(t *testing.T, content, digest []byte, enc int32, unchanged bool) {
		if len(digest) == 0 {
			d := sha256.Sum256(content)
			digest = d[:]
		}
		h := state.New()
		s, err := New(Config{NodeID: "n", MaxSnapshotBytes: 1 << 20}, Deps{Client: panicky{}, Holder: h})
		if err != nil {
			t.Fatal(err)
		}
		out := s.apply(&configv1.SnapshotUpdate{Revision: 1, Digest: digest, Snapshot: content, Encoding: configv1.Encoding(enc), Unchanged: unchanged})
		if (out.GetAck() != nil) != (h.Load() != nil) || (out.GetAck() == nil) == (out.GetNack() == nil) {
			t.Errorf("%v", out)
		}
	})
}
