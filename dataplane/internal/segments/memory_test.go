package segments

import (
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
)

// memory 是最省的一层文件：没有锁、没有断电，给要开上万次的测试用。
type memory map[string]*plain

type plain struct{ data []byte }

func (m memory) List() (names []string, err error) {
	for name := range m {
		names = append(names, name)
	}
	return names, nil
}

func (m memory) Create(name string, size int) (Mapping, error) {
	if m[name] != nil {
		return nil, fs.ErrExist
	}
	m[name] = &plain{data: make([]byte, size)}
	return m[name], nil
}

func (m memory) Open(name string) (Mapping, error) {
	if m[name] == nil {
		return nil, fs.ErrNotExist
	}
	return m[name], nil
}

func (m memory) Rename(from, to string) error {
	if m[from] == nil || m[to] != nil {
		return fs.ErrInvalid
	}
	m[to] = m[from]
	delete(m, from)
	return nil
}

func (m memory) Remove(name string) error {
	if m[name] == nil {
		return fs.ErrNotExist
	}
	delete(m, name)
	return nil
}

func (m memory) SyncDir() error { return nil }

func (p *plain) Data() []byte   { return p.data }
func (p *plain) Warm(_, _ int)  {}
func (p *plain) Reserve() error { return nil }
func (p *plain) Sync(int) error { return nil }
func (p *plain) Close() error   { return nil }

func newRandom() *rand.Rand { return rand.New(rand.NewPCG(7, 7)) }

func sumOf(b []byte) uint32 { return crc32.Checksum(b, castagnoli()) }
