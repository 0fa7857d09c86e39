package journal

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// maxBatchBytes 使一批远小于 gRPC 默认的 4 MiB 消息上限。
const maxBatchBytes = 1 << 20

// Batch 取出从 from 起至多 limit 条连续的记录（约 1 MiB 为限），附到 last_seq 为止的累计数；没有可取的返回 nil。
// from 为 0 当作 1。已过去的那些秒的拒绝先成为记录。node_id 与 sent_unix_ms 由送的人填。
func (j *Journal) Batch(from uint64, limit int) *usagev1.Batch {
	for _, r := range j.refusals.ended(j.now().Unix()) {
		j.append(r)
	}
	if from == 0 {
		from = 1
	}
	records, total := j.pick(from, limit)
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
	j.mu.Lock()
	j.marks.put(last, total)
	if last > j.handed {
		j.handed = last
	}
	j.mu.Unlock()
	return &usagev1.Batch{Epoch: j.epoch, FirstSeq: from, LastSeq: last, Records: records, Cumulative: total.Proto()}
}

// pick 取出记录的指针，与 from 之前的累计数。
func (j *Journal) pick(from uint64, limit int) ([]*usagev1.Record, Totals) {
	j.mu.Lock()
	defer j.mu.Unlock()
	last := j.ring.last()
	if from > last || limit <= 0 {
		return nil, Totals{}
	}
	base, exact := j.upTo(from - 1)
	records := make([]*usagev1.Record, 0, min(uint64(limit), last-from+1))
	if from < j.ring.first {
		records = append(records, j.gap(from, base, exact))
		from = j.ring.first
	}
	for ; from <= last && len(records) < limit; from++ {
		records = append(records, j.ring.at(from))
	}
	return records, base
}

// gap 代替 from..first-1 这一段拿不出的记录。
func (j *Journal) gap(from uint64, base Totals, exact bool) *usagev1.Record {
	base.Lost = 0
	t := j.ring.before.Minus(base)
	t.Lost = int64(j.ring.first - from)
	reason := "records no longer held in memory"
	if !exact {
		reason = fmt.Sprintf("records no longer held in memory; totals are incomplete after seq %d", from-1)
	}
	return &usagev1.Record{Seq: from, Body: &usagev1.Record_Gap{Gap: &usagev1.Gap{
		LastSeq: j.ring.first - 1, Reason: reason, Totals: t.Proto(),
	}}}
}

// upTo 是控制面收到 seq 为止的累计数。exact 为假时是较晚的检查点的数：宁可让 Gap 少算，不可重复算。
func (j *Journal) upTo(seq uint64) (t Totals, exact bool) {
	p := j.marks.floor(seq)
	if p.seq == seq {
		return p.totals, true
	}
	if seq+1 >= j.ring.first {
		if p.seq+1 < j.ring.first { // 从环的起点数起；lost 只有送过的批知道
			lost := p.totals.Lost
			p = checkpoint{seq: j.ring.first - 1, totals: j.ring.before}
			p.totals.Lost = lost
		}
		for s := p.seq + 1; s <= seq; s++ {
			p.totals = p.totals.Plus(TotalsOf(j.ring.at(s)))
		}
		return p.totals, true
	}
	if next, ok := j.marks.ceil(seq); ok && next.seq < j.ring.first {
		return next.totals, false
	}
	t = j.ring.before
	t.Lost = p.totals.Lost
	return t, false
}
