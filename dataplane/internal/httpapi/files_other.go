//go:build !unix

package httpapi

// fileLimit 在这个系统上不可知：不限。
func fileLimit() (uint64, bool) { return 0, false }
