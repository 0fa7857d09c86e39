//go:build race

package admission_test

// nodes 是机队的大小；带竞态检测时慢十倍。
const nodes = 30
