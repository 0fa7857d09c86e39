package budget

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// 文件的样子：一行 "vega-budgets 1 <其余的 CRC-32C，十六进制>"，其后是 JSON。
const (
	fileName = "budgets"
	header   = "vega-budgets 1 %08x\n"
)

// file 是盘上的一份；要么是旧的，要么是新的，从不是半份。
type file struct{ dir, node string }

// kept 是一个 app 存下的：控制面说的，与本节点此外花了的。
type kept struct {
	App       string    `json:"app"`
	Start     time.Time `json:"start"`
	End       time.Time `json:"end"`
	Claimed   Spend     `json:"claimed"`
	ToldStart time.Time `json:"told_start"`
	ToldEnd   time.Time `json:"told_end"`
	Spent     Spend     `json:"spent"`
	Nodes     int64     `json:"nodes"`
}

func (k kept) told() status {
	return status{start: k.ToldStart, end: k.ToldEnd, spent: k.Spent, nodes: k.Nodes}
}

type content struct {
	Node string `json:"node"`
	Apps []kept `json:"apps"`
}

type durability bool

const (
	unsynced durability = false
	synced   durability = true
)

func (f *file) path() string { return filepath.Join(f.dir, fileName) }

// load 读盘上的；没有即空，没有错误。
func (f *file) load() ([]kept, error) {
	data, err := os.ReadFile(f.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the stored budgets: %w", err)
	}
	line, body, _ := bytes.Cut(data, []byte("\n"))
	if string(line)+"\n" != fmt.Sprintf(header, checksum(body)) {
		return nil, errors.New("the stored budgets are damaged or of an unknown version")
	}
	var c content
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, fmt.Errorf("decode the stored budgets: %w", err)
	}
	if c.Node != f.node {
		return nil, fmt.Errorf("the stored budgets belong to node %q", c.Node)
	}
	return c.Apps, nil
}

// save 使 list 成为盘上的；synced 时返回 nil 即断电也在，否则只保证进程被杀也在。
func (f *file) save(list []kept, d durability) error {
	body, err := json.Marshal(content{Node: f.node, Apps: list})
	if err != nil {
		return fmt.Errorf("encode the budgets: %w", err)
	}
	tmp, err := os.CreateTemp(f.dir, "."+fileName+"-*") // 0600
	if err != nil {
		return fmt.Errorf("store the budgets: %w", err)
	}
	defer os.Remove(tmp.Name()) // 改名之后已经不在
	_, err = fmt.Fprintf(tmp, header+"%s", checksum(body), body)
	if err == nil && d == synced {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), f.path())
	}
	if err == nil && d == synced {
		err = syncDir(f.dir)
	}
	if err != nil {
		return fmt.Errorf("store the budgets: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
