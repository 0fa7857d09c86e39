//go:build !race

package admission_test

// nodes 是机队的大小。
const nodes = 200
