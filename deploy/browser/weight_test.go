package browser

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	// firstLoadLimit 是 index.html 一上来就要的一切压缩之后的上限，字节。
	firstLoadLimit = 350_000
	// chartMark 是 ECharts 的代码里压缩不掉的一段文字。
	chartMark = "_echarts_instance_"
)

// wanted 是 index.html 里一上来就要的文件：脚本、预载的模块与样式。
var wanted = regexp.MustCompile(`(?:src|href)="/(assets/[^"]+\.(?:js|css))"`)

// TestWeight 称首屏：控制台要在慢的网上也开得快，图表的库不许在其中。
func TestWeight(t *testing.T) {
	prepare(t, "build")
	dir := filepath.Join(root(t), "console")
	page := read(t, filepath.Join(dir, "dist", "index.html"))
	if library := read(t, filepath.Join(dir, "node_modules", "echarts", "lib", "core", "echarts.js")); !bytes.Contains(library, []byte(chartMark)) {
		t.Errorf("ECharts no longer contains %q: look for another mark", chartMark)
	}
	found := wanted.FindAllSubmatch(page, -1)
	if len(found) == 0 {
		t.Fatalf("index.html loads nothing:\n%s", page)
	}
	var total int
	var table strings.Builder
	for _, m := range found {
		name := string(m[1])
		body := read(t, filepath.Join(dir, "dist", name))
		size := gzipped(t, body)
		total += size
		fmt.Fprintf(&table, "%8d %s\n", size, name)
		if bytes.Contains(body, []byte(chartMark)) {
			t.Errorf("%s carries ECharts: load charts only where they are drawn", name)
		}
	}
	t.Logf("figures: console first_load_gz_kb=%.1f chunks=%d limit_kb=%d", float64(total)/1000, len(found), firstLoadLimit/1000)
	if total > firstLoadLimit {
		t.Errorf("the first load is %d bytes, more than %d:\n%s", total, firstLoadLimit, table.String())
	}
}

func gzipped(t *testing.T, body []byte) int {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Len()
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
