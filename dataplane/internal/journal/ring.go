package journal

import usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

// ring 是序号 first..last 的记录，放在按需长大的环形切片里；before 是 1..first-1 的总数（不含 lost）。
type ring struct {
	max    int
	keep   uint64
	first  uint64
	before Totals

	buf  []*usagev1.Record
	head int
	n    int
}

const firstBuf = 1_024

func (r *ring) last() uint64 { return r.first + uint64(r.n) - 1 }

// at 返回序号 seq 的记录；seq 必须在环里。
func (r *ring) at(seq uint64) *usagev1.Record {
	return r.buf[(r.head+int(seq-r.first))%len(r.buf)]
}

// push 追加一条并给它序号；环满时丢最旧的，返回被丢的序号，没丢为 0。
func (r *ring) push(rec *usagev1.Record) (dropped uint64) {
	if r.n == r.max {
		dropped = r.first
		r.pop()
	}
	if r.n == len(r.buf) {
		r.grow()
	}
	rec.Seq = r.last() + 1
	r.buf[(r.head+r.n)%len(r.buf)] = rec
	r.n++
	return dropped
}

func (r *ring) grow() {
	buf := make([]*usagev1.Record, min(max(firstBuf, 2*len(r.buf)), r.max))
	n := copy(buf, r.buf[r.head:])
	copy(buf[n:], r.buf[:r.head])
	r.buf, r.head = buf, 0
}

func (r *ring) pop() {
	r.before = r.before.Plus(TotalsOf(r.buf[r.head]))
	r.buf[r.head] = nil
	r.head = (r.head + 1) % len(r.buf)
	r.first++
	r.n--
}

// release 放掉 acked 及以前的记录，只留最后 keep 条。
func (r *ring) release(acked uint64) {
	for r.n > 0 && r.first+r.keep <= acked {
		r.pop()
	}
}
