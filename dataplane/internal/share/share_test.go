package share

import (
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

func sample(v uint64) *admissionv1.Share {
	return &admissionv1.Share{Version: v, Amounts: []*admissionv1.Amount{
		{Pool: &admissionv1.Pool{Server: "gpu-1", Kind: admissionv1.PoolKind_POOL_KIND_IN_FLIGHT}, Units: 5},
		{Pool: &admissionv1.Pool{App: "team", Kind: admissionv1.PoolKind_POOL_KIND_TOKENS}, Units: 2_000},
	}}
}

func TestFile_GivesBackTheLastSaved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "as needed")
	f := New(dir, "node-1")
	if s, err := f.Load(); s != nil || err != nil || f.Exists() {
		t.Fatalf("before the first save: %v %v", s, err)
	}
	for v := range uint64(3) {
		if err := f.Save(sample(v)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := New(dir, "node-1").Load()
	if err != nil || !proto.Equal(s, sample(2)) || !f.Exists() {
		t.Fatalf("%v %v", s, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

func TestFile_AnotherNodesShareIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := New(dir, "node-1").Save(sample(1)); err != nil {
		t.Fatal(err)
	}
	if s, err := New(dir, "node-2").Load(); s != nil || err == nil {
		t.Fatalf("%v %v", s, err)
	}
}

func TestFile_AnyDamageIsNoticed(t *testing.T) {
	dir := t.TempDir()
	f := New(dir, "node-1")
	if err := f.Save(sample(1)); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(f.path())
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1
		if s, err := decode("node-1", bad); err == nil {
			t.Fatalf("byte %d flipped: %v", i, s)
		}
		if s, err := decode("node-1", good[:i]); err == nil {
			t.Fatalf("cut at %d: %v", i, s)
		}
	}
}

func TestFile_FailedSaveKeepsTheOldOne(t *testing.T) {
	dir := t.TempDir()
	f := New(dir, "node-1")
	if err := f.Save(sample(1)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(f.path()+".tmp", 0o700); err != nil { // 挡住临时文件：root 也写不进
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.path()+".tmp", "full"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(sample(2)); err == nil {
		t.Fatal("saved into nothing")
	}
	if s, err := f.Load(); err != nil || s.GetVersion() != 1 {
		t.Fatalf("%v %v", s, err)
	}
}

func FuzzDecode(f *testing.F) {
	good, err := encode("node-1", sample(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := decode("node-1", data); err == nil {
			again, err := encode("node-1", s)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := decode("node-1", again); err != nil || !proto.Equal(back, s) {
				t.Fatalf("%v %v", back, err)
			}
		}
	})
}
