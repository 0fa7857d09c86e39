package journal

import "encoding/binary"

// 日志里的一帧：头一个字节是种类，其后的数都是小端定长，末尾是 usage.proto 的线上编码。
//
//	open     票号 | 调用开始的毫秒 | 最后被看见的毫秒 | 有没有正在进行的调用 | Request
//	next     票号 | 调用开始的毫秒 | Request，attempts 是 [前一次的结局，]下一次
//	dropped  票号
//	progress 票号 | 此刻的毫秒 | Attempt，只有用量、成本与来源
//	abandon  票号
//	record   票号（拒绝为 0）| epoch | 序号 | 到此为止的累计 | Record 除序号以外的字段
//	copy     同 record：原来的那一段落盘失败了，再写一遍，序号不变
//	mark     epoch | 序号 | 累计 | 已确认到 | 封了没有 | 尾巴上至多丢了几条 | 交出过的洞
//
// 每条记录都带着 epoch、序号与累计：坏了一段，其后头一条读得出的就说得清丢了几条、总数是多少。
// 同一票号的 open 可以再来一次（前面的要删了），以后来的为准。不认得的种类跳过去。
const (
	kindOpen     = 1
	kindNext     = 2
	kindDropped  = 3
	kindProgress = 4
	kindAbandon  = 5
	kindRecord   = 6
	kindMark     = 7
	kindCopy     = 8
)

const (
	ticketHead = 1 + 8
	openHead   = ticketHead + 8 + 8 + 1
	timedHead  = ticketHead + 8
	totalsSize = 8 * 8
	recordHead = ticketHead + 8 + 8 + totalsSize
	markHead   = 1 + 8 + 8 + totalsSize + 8 + 1 + 8
)

func put64(b []byte, v uint64) { binary.LittleEndian.PutUint64(b, v) }
func get64(b []byte) uint64    { return binary.LittleEndian.Uint64(b) }

// head 是 kind 开头的一帧，空出 n 个字节的头。
func head(b []byte, kind byte, n int) []byte {
	var zero [markHead]byte
	b = append(b[:0], zero[:n]...)
	b[0] = kind
	return b
}

// columns 是写进帧里的各项，次序即帧里的次序；lost 不在其中，它看控制面收到了什么。
func (t *Totals) columns() [8]*int64 {
	return [8]*int64{&t.Requests, &t.Attempts, &t.Refused, &t.Prompt, &t.Completion, &t.Cached, &t.Reasoning, &t.CostNano}
}

func putTotals(b []byte, t *Totals) {
	for i, n := range t.columns() {
		put64(b[8*i:], uint64(*n))
	}
}

func getTotals(b []byte) (t Totals) {
	for i, n := range t.columns() {
		*n = int64(get64(b[8*i:]))
	}
	return t
}

// recordFrame 是一条记录。
type recordFrame struct {
	ticket, epoch, seq uint64
	totals             Totals // 到这一条为止
	body               []byte
}

func (f *recordFrame) put(b []byte) {
	put64(b[1:], f.ticket)
	put64(b[9:], f.epoch)
	put64(b[17:], f.seq)
	putTotals(b[25:], &f.totals)
}

// parseRecord 读一条记录，连同再写一遍的。
func parseRecord(b []byte) (f recordFrame, ok bool) {
	if len(b) < recordHead || b[0] != kindRecord && b[0] != kindCopy {
		return f, false
	}
	return recordFrame{ticket: get64(b[1:]), epoch: get64(b[9:]), seq: get64(b[17:]), totals: getTotals(b[25:]), body: b[recordHead:]}, true
}

// markFrame 说一个 epoch 写到了哪里。
type markFrame struct {
	epoch, seq uint64
	totals     Totals
	acked      uint64
	sealed     bool
	tail       uint64
	gaps       []run
}

// run 是一段序号，Last 含在内。
type run struct{ first, last uint64 }

func (f *markFrame) append(b []byte) []byte {
	b = head(b, kindMark, markHead)
	put64(b[1:], f.epoch)
	put64(b[9:], f.seq)
	putTotals(b[17:], &f.totals)
	put64(b[81:], f.acked)
	if f.sealed {
		b[89] = 1
	}
	put64(b[90:], f.tail)
	for _, g := range f.gaps {
		b = binary.LittleEndian.AppendUint64(b, g.first)
		b = binary.LittleEndian.AppendUint64(b, g.last)
	}
	return b
}

func parseMark(b []byte) (f markFrame, ok bool) {
	if len(b) < markHead || b[0] != kindMark {
		return f, false
	}
	f = markFrame{epoch: get64(b[1:]), seq: get64(b[9:]), totals: getTotals(b[17:]), acked: get64(b[81:]), sealed: b[89] == 1, tail: get64(b[90:])}
	for b = b[markHead:]; len(b) >= 16; b = b[16:] {
		f.gaps = append(f.gaps, run{get64(b), get64(b[8:])})
	}
	return f, true
}
