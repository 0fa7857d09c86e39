package upstreamtest

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func newRow(b *book, id string) *record {
	r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(""))
	r.Header.Set("X-Request-Id", id)
	return b.open(r)
}

func TestLedger_DuplicatesOfOneIDAreVisible(t *testing.T) {
	s := started(t, Config{KeepBodies: true})
	for range 2 {
		post(t, s, "/v1/chat/completions", "same", chatJSON)
	}
	rows := s.Find("same")
	if len(rows) != 2 || rows[0].Seq == rows[1].Seq || string(rows[0].Body) != chatJSON {
		t.Fatalf("%+v", rows)
	}
}

func TestLedger_AttemptsOfAnID(t *testing.T) {
	const uuid = "0196-aa-446655440000" // 末段全是数字
	b := newBook(time.Now, false, 0)
	for _, id := range []string{uuid, uuid + "-1", uuid + "-2", "0196-aa-446655440001-1", "0196-aa", ""} {
		newRow(b, id)
	}
	for id, want := range map[string]int{uuid: 3, uuid + "-2": 1, "0196-aa-446655440001": 1, "none": 0} {
		if got := len(b.attempts(id)); got != want {
			t.Errorf("%q has %d attempts, want %d", id, got, want)
		}
	}
}

func TestLedger_LimitDropsTheOldestAndCountsThem(t *testing.T) {
	b := newBook(time.Now, false, 2)
	for _, id := range []string{"a-1", "a-2", "b-1"} {
		newRow(b, id)
	}
	if rows := b.entries(); len(rows) != 2 || rows[0].RequestID != "a-2" {
		t.Fatalf("%+v", rows)
	}
	if st := b.snapshotStats(); st.Dropped != 1 || st.Requests != 3 || len(b.attempts("a")) != 1 {
		t.Fatalf("%+v", st)
	}
}

func TestLedger_ARevokedSettlementLeavesNoTrace(t *testing.T) {
	b := newBook(time.Now, false, 0)
	rec := newRow(b, "a")
	b.report(rec, &Usage{Prompt: 3, Completion: 4})
	b.settle(rec, 200, finished)
	b.report(rec, nil)
	b.settle(rec, 200, aborted)
	st := b.snapshotStats()
	if st.Finished != 0 || st.Aborted != 1 || st.Usage != (Usage{}) || st.ByStatus[200] != 1 || b.entries()[0].UsageSent {
		t.Fatalf("%+v", st)
	}
}

func TestLedger_OffKeepsTheCounts(t *testing.T) {
	s := started(t, Config{NoLedger: true})
	post(t, s, "/v1/chat/completions", "a", chatStream)
	if st := s.Stats(); len(s.Ledger()) != 0 || st.Requests != 1 || st.Finished != 1 || st.Completion == 0 {
		t.Fatalf("%+v", st)
	}
}
