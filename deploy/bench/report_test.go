package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestReport_PrintsRatiosToNginxAndLatencyAboveDirect(t *testing.T) {
	r := newReport([]arm{{name: "direct"}, {name: "nginx"}, {name: "goproxy"}, {name: "vega"}})
	r.rows["direct"] = []figures{{jsonRate: 9000, openP50: time.Millisecond, openP99: 2 * time.Millisecond}}
	r.rows["nginx"] = []figures{{jsonRate: 8000, jsonCPU: 10, streamCPU: 100, chunkCPU: 5}}
	r.rows["goproxy"] = []figures{{jsonRate: 5000, jsonCPU: 40, streamCPU: 120, chunkCPU: 7}}
	r.rows["vega"] = []figures{{jsonRate: 6000, jsonCPU: 25, streamCPU: 150, chunkCPU: 6, openP50: 1100 * time.Microsecond, openP99: 2500 * time.Microsecond}}
	r.open = []opened{{arm: "vega", streams: 1000, rssBefore: 20 << 20, rssOpen: 70 << 20}}
	var b bytes.Buffer
	r.print(&b)
	for _, want := range []string{"2.50", "1.50", "1.20", "0.10ms", "0.50ms", "0.62 (must", "51.2"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("missing %q in\n%s", want, b.String())
		}
	}
}

func TestKeepTail_HoldsTheLastBytesOverSmallReads(t *testing.T) {
	var last [16]byte
	for _, p := range []string{"data: {}\n\nda", "ta: ", "[DO", "NE]", "\n\n"} {
		keepTail(&last, []byte(p))
	}
	if !strings.HasSuffix(string(last[:]), "data: [DONE]\n\n") {
		t.Fatalf("got %q", last)
	}
}
