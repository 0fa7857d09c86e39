package journal

import (
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

	"github.com/vega-gateway/vega/dataplane/internal/segments"
)

// benched 是一份真在盘上、Run 跑着的记录；记下的立刻确认，随写随删。
func benched(b *testing.B) *Journal {
	j := onDisk(b, b.TempDir(), Config{KeepFor: time.Millisecond, KeepBytes: 1, Segments: segments.Config{Quota: 8 << 30, SegmentBytes: 256 << 20}})
	stop := running(b, j)
	b.Cleanup(func() {
		stop()
		b.ReportMetric(float64(j.Health().Unjournalled)/float64(b.N), "unjournalled/op")
	})
	b.ReportAllocs()
	return j
}

func benchRequest() (Opening, *usagev1.Request) {
	const id = "0193e0c2-7a41-7b55-9c1e-5f7d0c2b1a90"
	o := Opening{ID: id, KeyID: "k_7f3a", App: "team-a", Model: "gpt-4o", Endpoint: "/v1/chat/completions", Revision: 42, StartedUnixMS: 1_764_000_000_000, QueueUS: 12,
		Call: Call{Number: 1, Server: "gpu-1", UpstreamModel: "gpt-4o-2024-11-20", ServedModel: "gpt-4o", StartedUnixMS: 1_764_000_000_001}}
	return o, &usagev1.Request{
		Id: id, KeyId: o.KeyID, App: o.App, Model: o.Model, ServedModel: o.Model, Endpoint: o.Endpoint, StartedUnixMs: o.StartedUnixMS, EndedUnixMs: o.StartedUnixMS + 800,
		Outcome: usagev1.Outcome_OUTCOME_OK, Status: 200, QueueUs: 12, FirstByteUs: 90_000, Revision: 42,
		Attempts: []*usagev1.Attempt{{Number: 1, Server: "gpu-1", UpstreamModel: "gpt-4o-2024-11-20", ServedModel: "gpt-4o", Outcome: usagev1.Outcome_OUTCOME_OK, Status: 200,
			DurationUs: 799_000, Source: usagev1.Source_SOURCE_REPORTED, CostNano: 1_250_000,
			Usage: &usagev1.Usage{PromptTokens: proto.Int64(812), CompletionTokens: proto.Int64(211), CachedTokens: proto.Int64(512), ReasoningTokens: proto.Int64(0)}}},
	}
}

// BenchmarkRequest 是一个请求在盘上的全部：开头与结局，连同落盘与换段。
func BenchmarkRequest(b *testing.B) {
	j := benched(b)
	o, r := benchRequest()
	n := 0
	began := cpu(b)
	defer func() { b.ReportMetric(float64((cpu(b)-began).Nanoseconds())/float64(b.N), "cpu-ns/op") }()
	for b.Loop() {
		j.Open(o).Close(r)
		if n++; n%100_000 == 0 {
			b.StopTimer()
			j.Acked(j.Flush())
			for j.Health().Trouble != "" {
				time.Sleep(time.Millisecond)
			}
			b.StartTimer()
		}
	}
}

// BenchmarkRequestHot 在已经就位的内存上：没有盘、换段与缺页，只剩编码、抄写、校验与锁。
func BenchmarkRequestHot(b *testing.B) {
	const round = 20_000
	files := &hotFiles{free: [][]byte{make([]byte, 32<<20), make([]byte, 32<<20)}}
	cfg := Config{Segments: segments.Config{Quota: 8 << 30, SegmentBytes: 32 << 20, Files: files}}
	o, r := benchRequest()
	var j *Journal
	var used time.Duration
	n := 0
	b.ReportAllocs()
	began := cpu(b)
	for b.Loop() {
		if n++; n%round == 1 {
			b.StopTimer()
			used += cpu(b) - began
			if j != nil {
				_ = j.Shut()
			}
			j = onDisk(b, "", cfg)
			began = cpu(b)
			b.StartTimer()
		}
		j.Open(o).Close(r)
	}
	used += cpu(b) - began
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
	if j.Health().Unjournalled > 0 {
		b.Fatal("not on disk")
	}
}

// cpu 是这个进程至今用了多少 CPU。
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// hotFiles 是两块反复用的内存，页都在；用完清零。
type hotFiles struct{ free [][]byte }

func (f *hotFiles) List() ([]string, error)               { return nil, nil }
func (f *hotFiles) Open(string) (segments.Mapping, error) { return nil, errIO }
func (f *hotFiles) Rename(string, string) error           { return nil }
func (f *hotFiles) Remove(string) error                   { return nil }
func (f *hotFiles) SyncDir() error                        { return nil }

func (f *hotFiles) Create(string, int) (segments.Mapping, error) {
	if len(f.free) == 0 {
		return nil, errNoSpace
	}
	m := f.free[0]
	f.free = f.free[1:]
	clear(m)
	return &hotFile{f, m}, nil
}

type hotFile struct {
	files *hotFiles
	data  []byte
}

func (m *hotFile) Data() []byte   { return m.data }
func (m *hotFile) Reserve() error { return nil }
func (m *hotFile) Warm(int, int)  {}
func (m *hotFile) Sync(int) error { return nil }
func (m *hotFile) Close() error   { m.files.free = append(m.files.free, m.data); return nil }

func BenchmarkProgress(b *testing.B) {
	j := benched(b)
	o, _ := benchRequest()
	t := j.Open(o)
	p := &Progress{Usage: usagev1.Usage{PromptTokens: proto.Int64(812), CompletionTokens: proto.Int64(211)}, CostNano: 9}
	for b.Loop() {
		t.Progress(p)
	}
	t.Abandon()
}

// BenchmarkBatchDisk1000 从盘上取一千条，编好送出去的样子。
func BenchmarkBatchDisk1000(b *testing.B) {
	j := onDisk(b, b.TempDir(), Config{})
	stop := running(b, j)
	o, r := benchRequest()
	for range 1_000 {
		j.Open(o).Close(r)
	}
	j.Flush()
	stop()
	b.ReportAllocs()
	for b.Loop() {
		if got, err := proto.Marshal(j.Batch(1, 1_000)); err != nil || len(got) < 100_000 {
			b.Fatal(err, len(got))
		}
	}
}
