//go:build unix

package segments

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// directory 是盘上的一个目录。
type directory struct{ path string }

func newFiles(path string) (Files, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	return directory{path}, nil
}

func (d directory) List() ([]string, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (d directory) Create(name string, size int) (_ Mapping, err error) {
	path := filepath.Join(d.path, name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(path)
		}
	}()
	if err := reserve(f, 0, int64(size)); err != nil {
		return nil, fmt.Errorf("reserve %d bytes: %w", size, err)
	}
	if err := f.Sync(); err != nil { // 长度与占下的块先落盘，之后的落盘就只是数据
		return nil, err
	}
	return mapFile(f, path, size)
}

func (d directory) Open(name string) (Mapping, error) {
	path := filepath.Join(d.path, name)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > maxFile {
		return nil, fmt.Errorf("%s is too large for a segment: %d bytes", name, st.Size())
	}
	return mapFile(f, path, int(st.Size()))
}

func (d directory) Rename(from, to string) error {
	return os.Rename(filepath.Join(d.path, from), filepath.Join(d.path, to))
}

func (d directory) Remove(name string) error { return os.Remove(filepath.Join(d.path, name)) }

func (d directory) SyncDir() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// mapped 是一个映射着的文件；映射自己拿着文件，描述符不必留着。
type mapped struct {
	data []byte
	path string
}

func mapFile(f *os.File, path string, size int) (Mapping, error) {
	if size == 0 {
		return &mapped{path: path}, nil
	}
	data, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	runtime.KeepAlive(f)
	if err != nil {
		return nil, fmt.Errorf("map: %w", err)
	}
	return &mapped{data: data, path: path}, nil
}

func (m *mapped) Data() []byte { return m.data }

func (m *mapped) Reserve() error {
	f, err := os.OpenFile(m.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return reserve(f, int64(len(m.data)), int64(len(m.data)))
}

func (m *mapped) Warm(from, to int) {
	from, to = from&^(os.Getpagesize()-1), min(to, len(m.data))
	if from < to {
		warm(m.data[from:to])
	}
}

func (m *mapped) Sync(n int) error {
	if n == 0 {
		return nil
	}
	return unix.Msync(m.data[:n], unix.MS_SYNC)
}

func (m *mapped) Close() error {
	if m.data == nil {
		return nil
	}
	data := m.data
	m.data = nil
	return unix.Munmap(data)
}

var errSparse = errors.New("the file has holes and this filesystem cannot fill them in place")

// fillWithZeroes 给不会 fallocate 的文件系统：把 had 之后的写成零，空间就占下了。
// 前 had 个字节里若有空洞，就没有办法在不碰内容的前提下补齐。
func fillWithZeroes(f *os.File, had, size int64) error {
	if had > 0 {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			return err
		}
		if st.Blocks*512 < had {
			return errSparse
		}
	}
	zero := make([]byte, 1<<20)
	w := io.NewOffsetWriter(f, had)
	for left := size - had; left > 0; {
		n, err := w.Write(zero[:min(left, int64(len(zero)))])
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}
