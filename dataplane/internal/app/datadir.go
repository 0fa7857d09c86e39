package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/zap"
)

// dataDir 是数据目录的状况；写不进时 path 为空，problem 说明缘由（英文，一行）。
type dataDir struct {
	path, problem string
	lock          *os.File // 拿着它，目录就是我们的；nil 即没有拿
}

// errInUse 说目录被另一个进程锁着。
var errInUse = errors.New("in use")

const lockFile = "lock"

// openDataDir 确认目录写得进，并独占它：两个进程用同一个节点名与同一份份额，限额就不再是限额，所以第二个不起来。
// 写不进就不用它：节点照常工作，只是重启时没有盘上的配置。
func openDataDir(path string, log *zap.Logger) (dataDir, error) {
	err := probe(path)
	if err == nil {
		var lock *os.File
		lock, err = lockExclusive(filepath.Join(path, lockFile))
		switch {
		case errors.Is(err, errInUse):
			return dataDir{}, fmt.Errorf("VEGA_DATA_DIR: %s is in use by another data plane; give each its own directory", path)
		case err == nil:
			return dataDir{path: path, lock: lock}, nil
		}
	}
	const problem = "data directory cannot be written: no last known good configuration will be kept, and usage is in memory only"
	log.Error(problem, zap.String("path", path), zap.Error(err))
	return dataDir{problem: problem}, nil
}

// close 放开目录。
func (d dataDir) close() {
	if d.lock != nil {
		d.lock.Close()
	}
}

func probe(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

// keepFile 把一小段内容写成 dir 里的一个文件：要么是全的，要么没有。
func keepFile(dir, name, content string) error {
	f, err := os.CreateTemp(dir, "."+name+"-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // 改名之后已经不在
	_, err = f.WriteString(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}
