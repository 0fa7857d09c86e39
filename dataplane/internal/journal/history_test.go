package journal

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// TestDisk_AnyHistoryAddsUp 让请求、拒绝、批、确认、断线、被杀、数据库回到过去任意交错，对面是契约的游标：
// 账与累计数总是对得上，每个请求恰好一次，什么也不丢。
func TestDisk_AnyHistoryAddsUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := &history{rt: rt, disk: newDisk(t), books: []*ledger{newLedger(rt)}, seen: map[string]bool{}}
		h.start()
		defer func() { h.end() }()
		rt.Repeat(map[string]func(*rapid.T){
			"open": func(*rapid.T) {
				id := fmt.Sprint("r", h.next)
				h.next++
				if k := h.j.Open(opening(id)); k.id != 0 {
					h.open, h.seen[id] = append(h.open, ticketOf{k, id}), true
				} else {
					k.Abandon()
				}
			},
			"progress": func(rt *rapid.T) {
				if k := h.pick(rt, false); k != nil {
					k.Progress(&Progress{CostNano: 1})
				}
			},
			"next": func(rt *rapid.T) {
				if k := h.pick(rt, false); k != nil {
					k.Next(&usagev1.Attempt{Number: 1, CostNano: 2}, Call{Number: 2})
				}
			},
			"close": func(rt *rapid.T) {
				if k := h.pick(rt, true); k != nil {
					k.Close(request(k.id, rapid.Int64Range(0, 9).Draw(rt, "tokens")))
				}
			},
			"abandon": func(rt *rapid.T) {
				if k := h.pick(rt, true); k != nil {
					k.Abandon()
					delete(h.seen, k.id)
				}
			},
			"refuse": func(*rapid.T) {
				h.j.Refuse("a", "m", "c")
				h.j.refused(h.j.refusals.take())
				h.refused++
			},
			"send": func(rt *rapid.T) { h.send(rapid.IntRange(1, 5).Draw(rt, "limit")) },
			"ack":  func(*rapid.T) { h.j.Acked(h.book().cursor) },
			"kill": func(*rapid.T) {
				h.end()
				h.disk, h.open = killed(t, h.disk), nil
				h.start()
			},
			"restore": func(rt *rapid.T) {
				h.books = h.books[:rapid.IntRange(1, len(h.books)).Draw(rt, "to")]
				h.j.Rewind(h.book().cursor)
			},
		})
		h.end()
		h.disk = killed(t, h.disk)
		h.start()
		for h.send(1_000) {
		}
		got := h.book()
		for id := range h.seen {
			if got.ids[id] != 1 {
				rt.Fatalf("%s counted %d times", id, got.ids[id])
			}
		}
		if len(got.ids) != len(h.seen) || got.totals.Refused != h.refused || got.totals.Lost != 0 {
			rt.Fatalf("%d requests, want %d; %+v", len(got.ids), len(h.seen), got.totals)
		}
	})
}

type ticketOf struct {
	Ticket
	id string
}

// history 是一段来历：一份记录、它的盘，与控制面每次提交之后的账。
type history struct {
	rt      *rapid.T
	j       *Journal
	disk    *fakeDisk
	stop    func()
	open    []ticketOf
	books   []*ledger
	seen    map[string]bool
	next    int
	refused int64
}

func (h *history) start() {
	cfg := small()
	cfg.Segments.Files = h.disk
	cfg.Segments.SyncEvery = 1
	j, err := OpenDir("", cfg)
	if err != nil {
		h.rt.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = j.Run(ctx) }()
	h.j, h.stop = j, func() { cancel(); <-done; _ = j.Shut() }
}

func (h *history) end() {
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

func (h *history) book() *ledger { return h.books[len(h.books)-1] }

// pick 取一个进行中的；ends 即它到此为止。
func (h *history) pick(rt *rapid.T, ends bool) *ticketOf {
	if len(h.open) == 0 {
		return nil
	}
	i := rapid.IntRange(0, len(h.open)-1).Draw(rt, "which")
	k := h.open[i]
	if ends {
		h.open = append(h.open[:i:i], h.open[i+1:]...)
	}
	return &k
}

// send 交一批；控制面在另一份账上提交它，旧的留着，供回到过去。
func (h *history) send(limit int) bool {
	h.j.disk.settle()
	now := *h.book()
	now.ids = map[string]int{}
	for id, n := range h.book().ids {
		now.ids[id] = n
	}
	if !now.take(h.j, limit) {
		return false
	}
	h.books = append(h.books, &now)
	return true
}
