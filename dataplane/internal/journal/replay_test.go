package journal

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// killed 是进程此刻被杀之后的盘：写了的都在缓存里。
func killed(t testing.TB, d *fakeDisk) *fakeDisk {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	after := newDisk(d.t)
	for name, f := range d.live {
		after.put(name, f.live)
	}
	return after
}

// restarted 在 d 此刻的盘上再起一个，跑着。
func restarted(t testing.TB, d *fakeDisk, cfg Config) (*Journal, *fakeDisk) {
	t.Helper()
	after := killed(t, d)
	j := onFake(t, after, cfg)
	running(t, j)
	return j, after
}

func TestReplay_KeepsTheAttemptsBeforeTheOneCutOff(t *testing.T) {
	d := newDisk(t)
	j := onFake(t, d, Config{})
	k := j.Open(opening("r0"))
	k.Progress(&Progress{Usage: usagev1.Usage{CompletionTokens: proto.Int64(1)}, CostNano: 1})
	first := &usagev1.Attempt{Number: 1, Server: "s", UpstreamModel: "u", ServedModel: "m", Outcome: usagev1.Outcome_OUTCOME_UPSTREAM_ERROR, Status: 502, DurationUs: 7,
		Source: usagev1.Source_SOURCE_REPORTED, Usage: &usagev1.Usage{PromptTokens: proto.Int64(4)}, CostNano: 9}
	k.Next(first, Call{Number: 2, Server: "s2", UpstreamModel: "u2", ServedModel: "fallback", StartedUnixMS: 2_000})
	k.Progress(&Progress{Usage: usagev1.Usage{PromptTokens: proto.Int64(4), CompletionTokens: proto.Int64(0)}, CostNano: 5, Source: usagev1.Source_SOURCE_COUNTED})

	again, _ := restarted(t, d, Config{})
	q := newLedger(t).drain(again).list[0]
	if !proto.Equal(q.GetAttempts()[0], first) || len(q.GetAttempts()) != 2 {
		t.Fatalf("%v", q)
	}
	last := q.GetAttempts()[1]
	want := &usagev1.Attempt{Number: 2, Server: "s2", UpstreamModel: "u2", ServedModel: "fallback", Outcome: usagev1.Outcome_OUTCOME_ABORTED, DurationUs: last.GetDurationUs(),
		Source: usagev1.Source_SOURCE_PARTIAL, Usage: &usagev1.Usage{PromptTokens: proto.Int64(4), CompletionTokens: proto.Int64(0)}, CostNano: 5}
	if !proto.Equal(last, want) || last.GetDurationUs() <= 0 {
		t.Errorf("%v", last)
	}
	if !q.GetReplayed() || q.GetOutcome() != usagev1.Outcome_OUTCOME_ABORTED || q.GetStatus() != 0 || q.GetServedModel() != "fallback" || q.GetModel() != "m" ||
		q.GetKeyId() != "k1" || q.GetRevision() != 3 || q.GetQueueUs() != 5 || q.GetStartedUnixMs() != 1_000 || q.GetEndedUnixMs() <= 2_000 || q.GetUnjournalled() {
		t.Errorf("%v", q)
	}
	if h := again.Health(); h.Replayed != 1 || !h.Durable {
		t.Errorf("%+v", h)
	}
}

func TestReplay_WithoutProgressTheTokensAreUnknown(t *testing.T) {
	d := newDisk(t)
	j := onFake(t, d, Config{})
	j.Open(opening("r0"))
	again, _ := restarted(t, d, Config{})
	q := newLedger(t).drain(again).list[0]
	if a := q.GetAttempts()[0]; a.GetSource() != usagev1.Source_SOURCE_UNKNOWN || a.Usage != nil || a.GetCostNano() != 0 || q.GetEndedUnixMs() != 1_010 {
		t.Errorf("%v", q)
	}
}

func TestReplay_WhatNeverReachedAnUpstreamIsNoRequest(t *testing.T) {
	d := newDisk(t)
	j := onFake(t, d, Config{})
	j.Open(opening("abandoned")).Abandon()
	j.Open(opening("dropped")).Dropped()
	k := j.Open(opening("r0")) // 头一次送到了，第二次没有
	k.Next(&usagev1.Attempt{Number: 1, Server: "s", Outcome: usagev1.Outcome_OUTCOME_UPSTREAM_ERROR}, Call{Number: 2, Server: "s2"})
	k.Dropped()
	again, _ := restarted(t, d, Config{})
	l := newLedger(t).drain(again)
	l.exactly(0, 1)
	if a := l.list[0].GetAttempts(); len(a) != 1 || a[0].GetOutcome() != usagev1.Outcome_OUTCOME_UPSTREAM_ERROR {
		t.Errorf("%v", l.list[0])
	}
}

// TestReplay_IsIdempotentWhenKilledHalfway：重放补到任何一条时又被杀，下一次接着补，各恰好一次。
func TestReplay_IsIdempotentWhenKilledHalfway(t *testing.T) {
	const n = 12
	d := newDisk(t)
	j := onFake(t, d, small())
	for i := range n {
		j.Open(opening(fmt.Sprint("r", i)))
	}
	for range 3 { // 补好了，还没交就又被杀；其间又开一个
		d = killed(t, d)
		j = onFake(t, d, small())
	}
	again, _ := restarted(t, d, small())
	newLedger(t).drain(again).exactly(0, n)
	if again.Epoch() != j.Epoch() {
		t.Error("the epoch changed though nothing was lost")
	}

	// 盘在补的半路上满了：余下的等盘好了再补，此时被杀也一样。
	d = newDisk(t)
	j = onFake(t, d, small())
	for i := range n {
		j.Open(opening(fmt.Sprint("r", i)))
	}
	d = killed(t, d)
	d.failing(func(op, _ string) error {
		if op == "create" || op == "reserve" {
			return errNoSpace
		}
		return nil
	})
	half := onFake(t, d, small())
	if half.Health().Waiting == 0 {
		t.Fatal("the disk took everything")
	}
	again, _ = restarted(t, d, small())
	newLedger(t).drain(again).exactly(0, n)
}

func TestReplay_RefusalsAndAcknowledgedRecordsStayWhereTheyWere(t *testing.T) {
	d := newDisk(t)
	j := onFake(t, d, Config{})
	running(t, j)
	add(j, 0, 3)
	j.Refuse("a", "m", "queue_full")
	l := newLedger(t).drain(j)
	if l.cursor != 4 || l.totals.Refused != 1 {
		t.Fatalf("%+v", l)
	}
	wait(t, "the acknowledgement to be kept", func() bool { return j.Stats().Unreported == 0 })
	again, _ := restarted(t, d, Config{})
	if st := again.Stats(); again.Epoch() != j.Epoch() || st.LastSeq != 4 || st.FirstSeq != 1 {
		t.Errorf("%+v", st)
	}
	again.Acked(l.cursor) // 招呼的应答
	add(again, 3, 2)
	l.drain(again).exactly(0, 5)
}
