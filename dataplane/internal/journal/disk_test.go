package journal

import (
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/vega-gateway/vega/dataplane/internal/segments"
)

const pageSize = 4096

// fakeDisk 是内存里的一层文件：记着什么落过盘，可以断电，可以在点名的操作上出错。
type fakeDisk struct {
	t testing.TB

	mu      sync.Mutex
	live    map[string]*fakeFile
	durable map[string]*fakeFile // 目录上一次落盘时的样子
	fail    func(op, name string) error
	ops     map[string]int
}

// fakeFile 是一个文件；live 在 Go 的堆之外：与真的映射一样，落盘时不拦着写的人。
type fakeFile struct {
	disk    *fakeDisk
	name    string
	live    []byte
	durable []byte
	open    int
}

func newDisk(t testing.TB) *fakeDisk {
	return &fakeDisk{t: t, live: map[string]*fakeFile{}, durable: map[string]*fakeFile{}, ops: map[string]int{}}
}

// failing 定下哪些操作出错；nil 即都好。
func (d *fakeDisk) failing(f func(op, name string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = f
}

// failOn 使 op 总是出 err。
func failOn(op string, err error) func(string, string) error {
	return func(o, _ string) error {
		if o == op {
			return err
		}
		return nil
	}
}

// step 记一次操作；要拿着 mu。
func (d *fakeDisk) step(op, name string) error {
	d.ops[op]++
	if d.fail != nil {
		return d.fail(op, name)
	}
	return nil
}

func (d *fakeDisk) List() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("list", ""); err != nil {
		return nil, err
	}
	var names []string
	for name := range d.live {
		names = append(names, name)
	}
	return names, nil
}

func (d *fakeDisk) Create(name string, size int) (segments.Mapping, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("create", name); err != nil {
		return nil, err
	}
	if d.live[name] != nil {
		return nil, fs.ErrExist
	}
	f := d.file(name, make([]byte, size))
	d.live[name] = f
	f.open++
	return f, nil
}

// file 造一个内容为 b 的文件，内容已落盘。
func (d *fakeDisk) file(name string, b []byte) *fakeFile {
	f := &fakeFile{disk: d, name: name, durable: append([]byte(nil), b...)}
	if len(b) > 0 {
		live, err := syscall.Mmap(-1, 0, len(b), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			d.t.Fatal(err)
		}
		copy(live, b)
		f.live = live
		d.t.Cleanup(func() { _ = syscall.Munmap(live) })
	}
	return f
}

// put 放一个已经在盘上的文件。
func (d *fakeDisk) put(name string, b []byte) {
	f := d.file(name, b)
	d.live[name], d.durable[name] = f, f
}

func (d *fakeDisk) Open(name string) (segments.Mapping, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("open", name); err != nil {
		return nil, err
	}
	f := d.live[name]
	if f == nil {
		return nil, fs.ErrNotExist
	}
	f.open++
	return f, nil
}

func (d *fakeDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("rename", from); err != nil {
		return err
	}
	if d.live[from] == nil || d.live[to] != nil {
		d.t.Errorf("rename %s to %s: missing or in the way", from, to)
		return fs.ErrInvalid
	}
	d.live[to] = d.live[from]
	d.live[to].name = to
	delete(d.live, from)
	return nil
}

func (d *fakeDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("remove", name); err != nil {
		return err
	}
	if d.live[name] == nil {
		d.t.Errorf("remove %s: missing", name)
		return fs.ErrNotExist
	}
	delete(d.live, name)
	return nil
}

func (d *fakeDisk) SyncDir() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step("syncdir", ""); err != nil {
		return err
	}
	d.durable = map[string]*fakeFile{}
	for name, f := range d.live {
		d.durable[name] = f
	}
	return nil
}

func (f *fakeFile) Data() []byte { return f.live }

func (f *fakeFile) Warm(int, int) {}

func (f *fakeFile) Reserve() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.step("reserve", f.name)
}

func (f *fakeFile) Sync(n int) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.step("sync", f.name); err != nil {
		return err
	}
	n = min((n+pageSize-1)/pageSize*pageSize, len(f.live))
	copy(f.durable[:n], f.live[:n])
	return nil
}

func (f *fakeFile) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.open--; f.open < 0 {
		return errors.New("closed twice")
	}
	return nil
}

// powerLoss 给出断电之后的盘：目录是落过盘的样子（或者现在的样子），没有落盘的页各以 kept 的可能恰好写了下去。
func (d *fakeDisk) powerLoss(random *rand.Rand, kept float64) *fakeDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := newDisk(d.t)
	names := d.durable
	if random.IntN(2) == 0 {
		names = d.live
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := names[name]
		b := append([]byte(nil), f.durable...)
		for at := 0; at < len(b); at += pageSize {
			if random.Float64() < kept {
				copy(b[at:min(at+pageSize, len(b))], f.live[at:])
			}
		}
		after.put(name, b)
	}
	return after
}
