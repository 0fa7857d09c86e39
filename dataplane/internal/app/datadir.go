package app

import (
	"os"
	"path/filepath"

	"go.uber.org/zap"
)

// dataDir 是数据目录的状况；写不进时 path 为空，problem 说明缘由（英文，一行）。
type dataDir struct{ path, problem string }

// openDataDir 确认目录写得进；不行就不用它：节点照常工作，只是重启时没有盘上的配置。
func openDataDir(path string, log *zap.Logger) dataDir {
	err := probe(path)
	if err == nil {
		return dataDir{path: path}
	}
	const problem = "data directory cannot be written: no last known good configuration will be kept"
	log.Error(problem, zap.String("path", path), zap.Error(err))
	return dataDir{problem: problem}
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
