//go:build !seeded

package seeded

// Broken 在出厂的构建里恒为假。
func Broken(Bug) bool { return false }
