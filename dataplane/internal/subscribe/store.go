package subscribe

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// generations 是盘上留几代：0 是最新的，1 是它之前的。
const generations = 2

// store 把最近好的配置存在一个目录里。不可并发使用：先 Boot，后 Run 里的一个 goroutine。
type store struct {
	dir      string
	token    string
	maxBytes int

	saved  [sha256.Size]byte // 最新一代的内容；零值即不知道
	intact bool              // 最新一代读得出：只有这样才值得把它降为上一代
}

func (s *store) path(gen int) string {
	if gen == 0 {
		return filepath.Join(s.dir, "config.lkg")
	}
	return filepath.Join(s.dir, fmt.Sprintf("config.lkg.%d", gen))
}

// load 读一代；不存在是 errAbsent，读不出是别的错误。
func (s *store) load(gen int) (*configv1.SnapshotUpdate, error) {
	f, err := os.Open(s.path(gen))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errAbsent
	}
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(s.maxBytes+messageOverhead)))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return open(s.token, data)
}

// loaded 记下从哪一代启动：若是旧的一代，说明最新的坏了，下次直接盖掉它。
func (s *store) loaded(gen int, digest [sha256.Size]byte) {
	if gen == 0 {
		s.saved, s.intact = digest, true
	}
}

// save 使 u 成为最新一代。内容与最新一代相同则不写：只变了版本号不值得一次 fsync。
func (s *store) save(u *configv1.SnapshotUpdate) error {
	digest, _ := digestOf(u.GetDigest())
	if s.intact && s.saved == digest {
		return nil
	}
	data, err := seal(s.token, u)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	tmp := s.path(0) + ".tmp"
	if err := writeSynced(tmp, data); err != nil {
		os.Remove(tmp)
		return err
	}
	if s.intact {
		if err := os.Rename(s.path(0), s.path(1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keep the previous generation: %w", err)
		}
	}
	if err := os.Rename(tmp, s.path(0)); err != nil {
		return fmt.Errorf("put the new generation in place: %w", err)
	}
	s.saved, s.intact = digest, true
	return syncDir(s.dir)
}

// writeSynced 写一个只有自己能读的新文件，写到盘上才返回。
func writeSynced(path string, data []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the old temporary file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// syncDir 使改名本身落盘。
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open the data directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync the data directory: %w", err)
	}
	return nil
}
