package journal

import (
	"cmp"
	"encoding/binary"
	"slices"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

	"github.com/vega-gateway/vega/dataplane/internal/segments"
)

// picker 从日志里取一段连续的记录，以线上编码接在一起。
type picker struct {
	epoch  uint64
	want   uint64 // 接着要的序号
	limit  int
	reach  uint64 // 可以交出去的最后一帧
	copies []point
	log    *segments.Log

	known   bool   // base 就是 want-1 为止的累计
	base    Totals // 看到了 want 以前的哪里
	records []byte
	count   int
	totals  Totals // 到 want-1 为止
	gaps    []run
}

// frame 看一帧；返回 false 即够了。
func (p *picker) frame(index uint64, b []byte) bool {
	if index > p.reach {
		return false
	}
	if m, ok := parseMark(b); ok && m.epoch == p.epoch {
		return p.passed(m.seq, m.totals)
	}
	f, ok := parseRecord(b)
	if !ok || f.epoch != p.epoch {
		return true
	}
	if f.seq < p.want {
		p.saw(f.seq, f.totals)
		return true
	}
	if f.seq > p.want {
		if t, ok := contribution(f.body); !ok || !p.missing(f.seq-1, f.totals.Minus(t)) {
			return false
		}
	}
	return p.record(&f)
}

// record 接上一条；批满了返回 false。
func (p *picker) record(f *recordFrame) bool {
	if len(p.records)+len(f.body) > maxBatchBytes && p.count > 0 {
		p.limit = p.count
		return false
	}
	p.add(f.seq, f.body)
	p.want, p.totals, p.base, p.known = f.seq+1, f.totals, f.totals, true
	return p.count < p.limit
}

// missing 补上 want..last：再写过一遍的读那一份，没有的以 Gap 代替；t 是到 last 为止的累计。
func (p *picker) missing(last uint64, t Totals) bool {
	for more := true; more && p.want <= last; {
		f, ok := p.copyFrom(p.want, last)
		switch {
		case !ok:
			return p.hole(last, t)
		case f.seq == p.want:
			more = p.record(&f)
		default:
			own, _ := contribution(f.body)
			more = p.hole(f.seq-1, f.totals.Minus(own))
		}
	}
	return p.count < p.limit
}

// copyFrom 是 first..last 里头一条再写过一遍而读得出的。
func (p *picker) copyFrom(first, last uint64) (f recordFrame, ok bool) {
	at, _ := slices.BinarySearchFunc(p.copies, first, func(c point, seq uint64) int { return cmp.Compare(c.seq, seq) })
	for _, c := range p.copies[at:] {
		if c.seq > last {
			break
		}
		if c.frame > p.reach {
			continue
		}
		_ = p.log.Read(c.frame, func(index uint64, b []byte) bool {
			if index == c.frame {
				f, ok = parseRecord(b)
				f.body = slices.Clone(f.body)
			}
			return false
		})
		if ok && f.seq == c.seq && f.epoch == p.epoch {
			return f, true
		}
	}
	return f, false
}

// saw 记下 seq 为止的累计。
func (p *picker) saw(seq uint64, t Totals) {
	if seq == p.want-1 {
		p.known, p.base = true, t
	}
}

// passed 是一个标记：到 seq 为止的都写过，读不出来的就是丢了。
func (p *picker) passed(seq uint64, t Totals) bool {
	if seq < p.want {
		p.saw(seq, t)
		return true
	}
	return p.missing(seq, t)
}

// hole 以一条 Gap 代替 want..last；t 是到 last 为止的累计。
func (p *picker) hole(last uint64, t Totals) bool {
	var content *usagev1.Totals
	reason := "records no longer readable on disk"
	if p.known {
		lost := t.Minus(p.base)
		lost.Lost = int64(last - p.want + 1)
		content = lost.Proto()
	} else {
		reason += "; what they held shows in the cumulative totals"
	}
	p.lost(last, content, reason)
	p.totals, p.base, p.known = t, t, true
	return p.count < p.limit
}

// lost 追加一条 Gap。content 为 nil 即不知道里面有什么。
func (p *picker) lost(last uint64, content *usagev1.Totals, reason string) {
	p.gaps = append(p.gaps, run{p.want, last})
	p.add(p.want, encodeGap(&usagev1.Gap{LastSeq: last, Reason: reason, Totals: content}))
	p.want = last + 1
}

// add 接上一条记录：Batch 的第 5 个字段，里面先是序号。
func (p *picker) add(seq uint64, body []byte) {
	var head [2 + binary.MaxVarintLen64]byte
	h := binary.AppendUvarint(append(head[:0], 0x08), seq)
	p.records = binary.AppendUvarint(append(p.records, 0x2a), uint64(len(h)+len(body)))
	p.records = append(append(p.records, h...), body...)
	p.count++
}
