//go:build !linux

package stack

import (
	"errors"
	"time"
)

// CPU 只在 Linux 上量得到。
func CPU(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

// RSS 只在 Linux 上量得到。
func RSS(int) (int64, error) { return 0, errors.ErrUnsupported }
