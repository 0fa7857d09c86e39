package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"

	"github.com/vega-gateway/vega/dataplane/internal/share"
)

func TestStart_OneDataPlanePerDataDir(t *testing.T) {
	dir := t.TempDir()
	first := launch(t, testConfig("127.0.0.1:1", dir))
	err := Run(t.Context(), testConfig("127.0.0.1:1", dir), "test")
	if err == nil || !strings.HasPrefix(err.Error(), "VEGA_DATA_DIR: "+dir+" is in use") {
		t.Fatalf("a second one on the same directory: %v", err)
	}
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	again := launch(t, testConfig("127.0.0.1:1", dir)) // 放开了
	if again.NodeID() != first.NodeID() || again.epoch <= first.epoch {
		t.Errorf("node %q epoch %d, then node %q epoch %d", first.NodeID(), first.epoch, again.NodeID(), again.epoch)
	}
}

// TestClose_KeepsTheDataDirUntilNothingRuns：零件停下时还要存盘，那时目录不可以已经是别人的。
func TestClose_KeepsTheDataDirUntilNothingRuns(t *testing.T) {
	p := launch(t, testConfig("127.0.0.1:1", t.TempDir()))
	stopping, dir := make(chan struct{}), p.dataDir.path
	p.onClose(func() { close(stopping) })
	var late error
	p.goOn("the last to stop", func() error {
		<-stopping
		time.Sleep(200 * time.Millisecond) // 让别的都停完
		_, late = openDataDir(dir, zap.NewNop())
		return nil
	})
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	if late == nil {
		t.Error("the directory was free while a part was still running")
	}
}

func TestNextEpoch_GrowsThoughTheClockWentBack(t *testing.T) {
	dir := t.TempDir()
	const ahead = "9000000000000000000"
	if err := os.WriteFile(filepath.Join(dir, epochFile), []byte(ahead+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := nextEpoch(dir, zap.NewNop()); got != 9000000000000000001 {
		t.Errorf("got %d", got)
	}
	if got := nextEpoch(dir, zap.NewNop()); got != 9000000000000000002 {
		t.Errorf("got %d", got)
	}
	if err := os.WriteFile(filepath.Join(dir, epochFile), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if nextEpoch(dir, zap.NewNop()) == 0 || nextEpoch("", zap.NewNop()) == 0 {
		t.Error("no epoch")
	}
}

func TestKeptShare_NeverConfirmsWhatADamagedOrReadOnlyDirectoryWouldForget(t *testing.T) {
	dir := t.TempDir()
	saved := &admissionv1.Share{Version: 7}
	file := share.New(dir, "node-1")
	if err := file.Save(saved); err != nil {
		t.Fatal(err)
	}
	a := &App{node: "node-1", log: zap.NewNop(), cfg: Config{DataDir: dir}}
	stored, save := a.keptShare()
	if stored != nil || save == nil {
		t.Fatalf("a directory that is not held, with an old share: %v, save %t", stored, save != nil)
	}
	if err := save(&admissionv1.Share{Version: 8}); err == nil {
		t.Error("wrote to a directory that is not held")
	}
	if kept, err := file.Load(); err != nil || !proto.Equal(kept, saved) {
		t.Errorf("on disk now: %v %v", kept, err)
	}
	a.dataDir.path = dir
	if stored, save := a.keptShare(); !proto.Equal(stored, saved) || save == nil {
		t.Errorf("the share in the directory it holds: %v, save %t", stored, save != nil)
	}
	a.node = "node-2"
	if stored, save := a.keptShare(); stored != nil || save == nil {
		t.Errorf("another node's share: %v, save %t", stored, save != nil)
	}
	a.cfg.DataDir, a.dataDir.path = filepath.Join(dir, "share", "below-a-file"), ""
	if stored, save := a.keptShare(); stored != nil || save != nil {
		t.Errorf("no directory at all: %v, save %t", stored, save != nil)
	}
}

func TestInstanceID_IsTheDirectorysOwn(t *testing.T) {
	dir, log := t.TempDir(), zap.NewNop()
	first := instanceID(dir, log)
	if len(first) < 20 || instanceID(dir, log) != first {
		t.Errorf("%q is not kept", first)
	}
	if nowhere := instanceID("", log); instanceID(t.TempDir(), log) == first || nowhere == first || instanceID("", log) == nowhere {
		t.Error("two directories share it")
	}
	if err := os.WriteFile(filepath.Join(dir, instanceFile), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := instanceID(dir, log); again == first || instanceID(dir, log) != again {
		t.Errorf("%q after the file was damaged", again)
	}
}
