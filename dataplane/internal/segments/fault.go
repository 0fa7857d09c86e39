package segments

import (
	"errors"
	"fmt"
	"runtime/debug"
	"unsafe"
)

// errFault 说映射的一页取不来：盘坏了、文件被截短了，或者空洞上盘满了。
var errFault = errors.New("a mapped page cannot be reached")

// catchFault 使碰 data 时的 SIGBUS 成为错误，而不是整个进程的死；别的 panic 照旧。
// 用法：defer catchFault(data, &err, debug.SetPanicOnFault(true))。
func catchFault(data []byte, err *error, before bool) {
	debug.SetPanicOnFault(before)
	r := recover()
	if r == nil {
		return
	}
	if f, ok := r.(interface{ Addr() uintptr }); ok && len(data) > 0 {
		if base := uintptr(unsafe.Pointer(&data[0])); f.Addr()-base < uintptr(len(data)) {
			*err = fmt.Errorf("%w: offset %d", errFault, f.Addr()-base)
			return
		}
	}
	panic(r)
}
