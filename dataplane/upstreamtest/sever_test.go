package upstreamtest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

func TestDrop_NoByteBeforeTheConnectionEnds(t *testing.T) {
	for how, want := range map[string]error{CutReset: syscall.ECONNRESET, CutFIN: io.EOF} {
		t.Run(how, func(t *testing.T) {
			s := started(t, Config{Default: Behavior{Drop: how}})
			_, err := client(t).Do(newRequest(t, t.Context(), s, "/v1/chat/completions", "a", chatJSON))
			if !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
			if e := entry(t, s, "a"); !e.Cut || e.Status != 0 || e.UsageSent {
				t.Fatalf("ledger %+v", e)
			}
		})
	}
}

// 每种断法在 Go 客户端眼里的样子，流与 JSON 各一。
func TestHalf_LooksBrokenToAClient(t *testing.T) {
	cases := []struct {
		how  string
		want error
	}{{CutReset, syscall.ECONNRESET}, {CutFIN, io.ErrUnexpectedEOF}, {CutShort, io.ErrUnexpectedEOF}, {CutClean, nil}}
	for _, c := range cases {
		t.Run(c.how, func(t *testing.T) {
			s := started(t, Config{Default: Behavior{Half: c.how, HalfAfter: 3, Chunks: 6}})
			stream := post(t, s, "/v1/chat/completions", "s", chatStream)
			if !errors.Is(stream.err, c.want) {
				t.Errorf("stream ended with %v, want %v", stream.err, c.want)
			}
			if n := len(events(stream.body)); n != 3 || strings.Contains(stream.body, "[DONE]") || strings.Contains(stream.body, `"stop"`) {
				t.Errorf("stream had %d events: %s", n, stream.body)
			}
			if e := entry(t, s, "s"); !e.Cut || e.Finished || e.Aborted || e.UsageSent || e.Chunks != 3 || e.Status != 200 {
				t.Errorf("ledger %+v", e)
			}
			whole := post(t, s, "/v1/chat/completions", "j", chatJSON)
			if !errors.Is(whole.err, c.want) || whole.body == "" || strings.HasSuffix(whole.body, "}") {
				t.Errorf("JSON ended with %v: %s", whole.err, whole.body)
			}
			if n := s.InFlight(); n != 0 {
				t.Errorf("%d in flight", n)
			}
		})
	}
}

func TestHalf_AtZeroChunksOnlyTheHeadIsSent(t *testing.T) {
	s := started(t, Config{Default: Behavior{Half: CutFIN}})
	got := post(t, s, "/v1/chat/completions", "a", chatStream)
	if got.status != http.StatusOK || got.body != "" || !errors.Is(got.err, io.ErrUnexpectedEOF) {
		t.Fatalf("%+v", got)
	}
}

func TestHalf_BinaryStream(t *testing.T) {
	s := started(t, Config{Default: Behavior{Half: CutFIN, HalfAfter: 4, Chunks: 4, ChunkBytes: 10}})
	got := post(t, s, "/v1/audio/speech", "a", `{"model":"tts","input":"x"}`)
	if len(got.body) != 40 || !errors.Is(got.err, io.ErrUnexpectedEOF) {
		t.Fatalf("%d bytes, %v", len(got.body), got.err)
	}
}

func TestNoDone_EndsAfterFinishReason(t *testing.T) {
	s := started(t, Config{Default: Behavior{NoDone: true}})
	got := post(t, s, "/v1/chat/completions", "a", chatStream)
	if got.err != nil || strings.Contains(got.body, "[DONE]") || !strings.Contains(got.body, `"finish_reason":"stop"`) {
		t.Fatalf("%v %s", got.err, got.body)
	}
	if e := entry(t, s, "a"); !e.Finished || !e.UsageSent {
		t.Fatalf("ledger %+v", e)
	}
}

func TestStreamError_IsTheLastEvent(t *testing.T) {
	s := started(t, Config{Default: Behavior{StreamErrorAfter: 2, ErrorMessage: "boom"}})
	got := post(t, s, "/v1/chat/completions", "a", chatStream)
	list := events(got.body)
	if got.err != nil || len(list) != 3 || !strings.Contains(list[2], `{"error":{"message":"boom","type":"server_error"`) {
		t.Fatalf("%v %s", got.err, got.body)
	}
}
