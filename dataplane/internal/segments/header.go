package segments

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync/atomic"
	"unsafe"
)

// 段头的样子（小端）：magic（7 字节）| 格式版本（1）| 段号（8）| 头一帧的序号（8）| 前 24 字节的 CRC-32C（4）| 空（4）| 计数（8）。
// 格式换版时前 32 字节不变，旧的程序才认得出新的文件并且拒绝它。
const (
	magic      = "VEGASEG"
	version    = 1
	headerSum  = 24
	headerMark = 32
	headerSize = 64
)

// header 是段头里不变的那一部分。
type header struct {
	number uint64 // 段号，从 1 起，只增
	first  uint64 // 头一帧的序号
}

// headerState 说一个文件的段头怎么样。
type headerState int

const (
	headerValid   headerState = iota
	headerBlank               // 全零：预备好而没有用过
	headerDamaged             // 校验不符
)

func putHeader(data []byte, h header) {
	copy(data, magic)
	data[len(magic)] = version
	binary.LittleEndian.PutUint64(data[8:], h.number)
	binary.LittleEndian.PutUint64(data[16:], h.first)
	binary.LittleEndian.PutUint32(data[headerSum:], crc32.Checksum(data[:headerSum], castagnoli()))
	putMark(data, 0)
}

// readHeader 认一个段头；只有一个完好而版本不认得的头是错误。
func readHeader(data []byte) (header, headerState, error) {
	if firstNonZero(data[:headerSize]) == headerSize {
		return header{}, headerBlank, nil
	}
	if string(data[:len(magic)]) != magic || binary.LittleEndian.Uint32(data[headerSum:]) != crc32.Checksum(data[:headerSum], castagnoli()) {
		return header{}, headerDamaged, nil
	}
	if v := data[len(magic)]; v != version {
		return header{}, headerValid, fmt.Errorf("unknown format version %d, this build reads version %d", v, version)
	}
	h := header{number: binary.LittleEndian.Uint64(data[8:]), first: binary.LittleEndian.Uint64(data[16:])}
	if h.number > maxIndex || h.first > maxIndex {
		return header{}, headerDamaged, nil
	}
	return h, headerValid, nil
}

// 计数是这一段写过多少帧，与它的校验合成一个字，一次原子的存就换好。每写一帧记一次，随每次落盘一起落盘：
// 帧读不出来的时候，凭它知道少了几帧，也知道哪些序号已经用过、不可以再给别人。
func putMark(data []byte, count uint32) {
	v := uint64(count)<<32 | uint64(markSum(count))
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&data[headerMark])), littleEndian64(v))
}

// readMark 读出计数；校验不符时 ok 为假。
func readMark(data []byte) (count uint32, ok bool) {
	v := littleEndian64(atomic.LoadUint64((*uint64)(unsafe.Pointer(&data[headerMark]))))
	count = uint32(v >> 32)
	return count, uint32(v) == markSum(count)
}

// markSum 与计数一一对应（乘的是奇数，异或与移位都可逆），任何一位翻转都对不上。
func markSum(count uint32) uint32 {
	v := (count ^ 0xA5C3_5A3C) * 0x9E37_79B1
	return v ^ v>>15
}

func littleEndian64(v uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return binary.NativeEndian.Uint64(b[:])
}

// firstNonZero 是头一个非零字节的位置；全零则是 len(b)。
func firstNonZero(b []byte) int {
	i := 0
	for ; i+8 <= len(b) && binary.NativeEndian.Uint64(b[i:]) == 0; i += 8 {
	}
	for ; i < len(b) && b[i] == 0; i++ {
	}
	return i
}
