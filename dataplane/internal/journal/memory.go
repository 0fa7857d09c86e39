package journal

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// memory 是只在内存里的一份记录：一个有界的环，自己的 epoch。
type memory struct {
	epoch  uint64
	wakeAt uint64
	wake   chan struct{}
	tidy   func() // 让过去了的那些秒的拒绝先成为记录

	mu     sync.Mutex
	ring   ring
	marks  checkpoints
	acked  uint64
	handed uint64 // Batch 交出过的最大序号
	drops  int64
}

func newMemory(cfg Config, tidy func()) *memory {
	return &memory{
		epoch: cfg.Epoch, wakeAt: uint64(max(1, cfg.WakeAt)), wake: make(chan struct{}, 1), tidy: tidy,
		ring: ring{max: max(1, cfg.MaxRecords), keep: uint64(max(0, cfg.KeepAcked)), first: 1},
	}
}

func (m *memory) Epoch() uint64 { return m.epoch }

func (m *memory) Durable() bool { return false }

func (m *memory) Wake() <-chan struct{} { return m.wake }

func (m *memory) Flush() uint64 {
	signal(m.wake)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ring.last()
}

func (m *memory) append(r *usagev1.Record) {
	m.mu.Lock()
	if dropped := m.ring.push(r); dropped > m.acked {
		m.drops++
	}
	full := m.ring.last()-min(m.handed, m.ring.last()) >= m.wakeAt
	m.mu.Unlock()
	if full {
		signal(m.wake)
	}
}

func (m *memory) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Stats{
		Unreported: int64(m.ring.last() - m.acked), Dropped: m.drops,
		FirstSeq: m.ring.first, LastSeq: m.ring.last(), AckedSeq: m.acked,
	}
}

func (m *memory) Acked(hw uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if hw = min(hw, m.ring.last()); hw > m.acked {
		m.acked = hw
		m.ring.release(hw)
	}
}

func (m *memory) Rewind(hw uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acked = min(m.acked, hw)
}

// maxBatchBytes 使一批远小于 gRPC 默认的 4 MiB 消息上限。
const maxBatchBytes = 1 << 20

func (m *memory) Batch(from uint64, limit int) *usagev1.Batch {
	m.tidy()
	if from == 0 {
		from = 1
	}
	records, total := m.pick(from, limit)
	if len(records) == 0 {
		return nil
	}
	// 大小与合计在锁外算：记录追加之后不再变。
	var size int
	for i, r := range records {
		if size += proto.Size(r); size > maxBatchBytes && i > 0 {
			records = records[:i]
			break
		}
		total = total.Plus(TotalsOf(r))
	}
	last := LastSeq(records[len(records)-1])
	m.mu.Lock()
	m.marks.put(last, total)
	if last > m.handed {
		m.handed = last
	}
	m.mu.Unlock()
	return &usagev1.Batch{Epoch: m.epoch, FirstSeq: from, LastSeq: last, Records: records, Cumulative: total.Proto()}
}

// pick 取出记录的指针，与 from 之前的累计数。
func (m *memory) pick(from uint64, limit int) ([]*usagev1.Record, Totals) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.ring.last()
	if from > last || limit <= 0 {
		return nil, Totals{}
	}
	base, exact := m.upTo(from - 1)
	records := make([]*usagev1.Record, 0, min(uint64(limit), last-from+1))
	if from < m.ring.first {
		records = append(records, m.gap(from, base, exact))
		from = m.ring.first
	}
	for ; from <= last && len(records) < limit; from++ {
		records = append(records, m.ring.at(from))
	}
	return records, base
}

// gap 代替 from..first-1 这一段拿不出的记录。
func (m *memory) gap(from uint64, base Totals, exact bool) *usagev1.Record {
	base.Lost = 0
	t := m.ring.before.Minus(base)
	t.Lost = int64(m.ring.first - from)
	reason := "records no longer held in memory"
	if !exact {
		reason = fmt.Sprintf("records no longer held in memory; totals are incomplete after seq %d", from-1)
	}
	return &usagev1.Record{Seq: from, Body: &usagev1.Record_Gap{Gap: &usagev1.Gap{
		LastSeq: m.ring.first - 1, Reason: reason, Totals: t.Proto(),
	}}}
}

// upTo 是控制面收到 seq 为止的累计数。exact 为假时是较晚的检查点的数：宁可让 Gap 少算，不可重复算。
func (m *memory) upTo(seq uint64) (t Totals, exact bool) {
	p := m.marks.floor(seq)
	if p.seq == seq {
		return p.totals, true
	}
	if seq+1 >= m.ring.first {
		if p.seq+1 < m.ring.first { // 从环的起点数起；lost 只有送过的批知道
			lost := p.totals.Lost
			p = checkpoint{seq: m.ring.first - 1, totals: m.ring.before}
			p.totals.Lost = lost
		}
		for s := p.seq + 1; s <= seq; s++ {
			p.totals = p.totals.Plus(TotalsOf(m.ring.at(s)))
		}
		return p.totals, true
	}
	if next, ok := m.marks.ceil(seq); ok && next.seq < m.ring.first {
		return next.totals, false
	}
	t = m.ring.before
	t.Lost = p.totals.Lost
	return t, false
}
