package share

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// 文件的样子：magic（7 字节）| 格式版本（1）| 其后一切的 CRC-32C（4，大端）| 节点名的长度（2，大端）| 节点名 | 一条 Share。
const (
	magic    = "VEGASHR"
	version  = 1
	headLen  = len(magic) + 1 + crc32.Size
	fileName = "share"
	// maxBytes 是文件的上限：万个池也只有几百 KB。
	maxBytes = 16 << 20
)

// File 是一个节点的份额文件。用 New 造。
type File struct{ dir, node string }

// New 指向 dir 里属于 node 的份额文件；不做 I/O。
func New(dir, node string) *File { return &File{dir: dir, node: node} }

func (f *File) path() string { return filepath.Join(f.dir, fileName) }

// Exists 说盘上有没有份额文件，不论好坏；看不了的当作没有。
func (f *File) Exists() bool {
	_, err := os.Stat(f.path())
	return err == nil
}

// Load 读盘上的份额；没有即 nil，没有错误。
func (f *File) Load() (*admissionv1.Share, error) {
	r, err := os.Open(f.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the stored share: %w", err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxBytes))
	if err != nil {
		return nil, fmt.Errorf("read the stored share: %w", err)
	}
	return decode(f.node, data)
}

// Save 使 s 成为盘上的份额；返回 nil 即已落盘。
func (f *File) Save(s *admissionv1.Share) error {
	data, err := encode(f.node, s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	tmp := f.path() + ".tmp"
	if err := writeSynced(tmp, data); err != nil {
		os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, f.path()); err != nil {
		return fmt.Errorf("put the share in place: %w", err)
	}
	return syncDir(f.dir)
}

func encode(node string, s *admissionv1.Share) ([]byte, error) {
	out := make([]byte, headLen, headLen+2+len(node)+proto.Size(s))
	copy(out, magic)
	out[len(magic)] = version
	out = binary.BigEndian.AppendUint16(out, uint16(len(node)))
	out = append(out, node...)
	out, err := proto.MarshalOptions{}.MarshalAppend(out, s)
	if err != nil {
		return nil, fmt.Errorf("encode the share: %w", err)
	}
	binary.BigEndian.PutUint32(out[len(magic)+1:], checksum(out[headLen:]))
	return out, nil
}

// decode 是 encode 的逆；data 可以是任意字节。
func decode(node string, data []byte) (*admissionv1.Share, error) {
	if len(data) < headLen+2 || string(data[:len(magic)]) != magic {
		return nil, errors.New("not a stored share")
	}
	if v := data[len(magic)]; v != version {
		return nil, fmt.Errorf("unknown format version %d of the stored share", v)
	}
	body := data[headLen:]
	if binary.BigEndian.Uint32(data[len(magic)+1:]) != checksum(body) {
		return nil, errors.New("the stored share is damaged")
	}
	n := int(binary.BigEndian.Uint16(body))
	if body = body[2:]; len(body) < n {
		return nil, errors.New("the stored share is damaged")
	}
	if owner := string(body[:n]); owner != node {
		return nil, fmt.Errorf("the stored share belongs to the node %q", owner)
	}
	s := &admissionv1.Share{}
	if err := proto.Unmarshal(body[n:], s); err != nil {
		return nil, fmt.Errorf("decode the share: %w", err)
	}
	return s, nil
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// writeSynced 写一个只有自己能读写的文件，写到盘上才返回。
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("create the share file: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write the share file: %w", err)
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
