package segments

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reserve 占下 f 的前 size 个字节；前 had 个字节的内容不变。
func reserve(f *os.File, had, size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return fillWithZeroes(f, had, size)
		}
		return err
	}
}

// warm 使几页可写地就位，内容不变；5.14 以前的内核不会，那就由写的人自己缺页。
func warm(pages []byte) { _ = unix.Madvise(pages, unix.MADV_POPULATE_WRITE) }
