//go:build !seeded

package gateway

func broken(bug) bool { return false }
