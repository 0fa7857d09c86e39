package segments

import (
	"encoding/binary"
	"hash/crc32"
	"sync/atomic"
	"unsafe"
)

// 一帧的样子（小端，8 字节对齐）：长度字（4）| CRC-32C（4）| 载荷 | 补齐。
// 长度字是不含补齐的帧长，所以空载荷也不是零；零就是“到此为止”。
const (
	frameHead = 8
	frameStep = 8
)

// frameSize 是 n 字节载荷占的位置，连同补齐。
func frameSize(n int) int { return (frameHead + n + frameStep - 1) &^ (frameStep - 1) }

// castagnoli 每次都向标准库要：它按多项式的值认出自己的那张表，走硬件指令。
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// sum 是载荷的 CRC-32C，以序号与长度为初值：同样的字节放在别的序号上也对不上。
// 初值不同则结果必不同（CRC 的一步是双射），所以这与把序号放在载荷前面一样强，而热路径不必另备一段内存。
func sum(index uint64, payload []byte) uint32 {
	const spread = 0x9E3779B97F4A7C15
	seed := (index*spread)>>32 ^ index ^ uint64(len(payload))*0x85EBCA6B
	return crc32.Update(uint32(seed), castagnoli(), payload)
}

// word 是 data[off:] 处四个字节的地址；off 是 4 的倍数，data 至少 8 字节对齐。
func word(data []byte, off int) *uint32 { return (*uint32)(unsafe.Pointer(&data[off])) }

// littleEndian 在小端机器上什么也不做；原子的存取只认机器自己的字节序，而文件总是小端。
func littleEndian(v uint32) uint32 {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], v)
	return binary.NativeEndian.Uint32(b[:])
}

// putFrame 把 n 字节的载荷放在 off，返回帧的末尾。fill 为 nil 则抄 payload，否则由 fill 就地写。
// 长度字最后写：进程死在它之前，这一帧就是没有；死在它之后，它就是全的。
func putFrame(data []byte, off int, index uint64, n int, payload []byte, fill func([]byte)) int {
	if broken(bugLengthFirst) {
		atomic.StoreUint32(word(data, off), littleEndian(uint32(frameHead+n)))
	}
	body := data[off+frameHead : off+frameHead+n : off+frameHead+n]
	if fill == nil {
		copy(body, payload)
	} else {
		fillBody(body, fill)
	}
	*word(data, off+4) = littleEndian(sum(index, body))
	atomic.StoreUint32(word(data, off), littleEndian(uint32(frameHead+n)))
	return off + frameSize(n)
}

// fillBody 由 fill 写 body；fill 出 panic 就把写了一半的清掉：那里将来是别的帧的头，不能留着像帧的字节。
func fillBody(body []byte, fill func([]byte)) {
	done := false
	defer func() {
		if !done {
			clear(body)
		}
	}()
	fill(body)
	done = true
}

// frameAt 取 off 处序号为 index 的帧。没有帧、放不下或校验不符时 ok 为假。
func frameAt(data []byte, off int, index uint64) (payload []byte, end int, ok bool) {
	if off+frameHead > len(data) {
		return nil, off, false
	}
	length := int(littleEndian(atomic.LoadUint32(word(data, off))))
	if length < frameHead || length > len(data)-off {
		return nil, off, false
	}
	payload = data[off+frameHead : off+length : off+length]
	if sum(index, payload) != littleEndian(*word(data, off+4)) {
		return nil, off, false
	}
	return payload, off + frameSize(length-frameHead), true
}
