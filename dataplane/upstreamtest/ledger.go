package upstreamtest

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Entry 是账本里的一行：一次到达的请求与它实际得到的应答。
type Entry struct {
	Seq           int64       `json:"seq"`
	RequestID     string      `json:"request_id"` // 收到的 x-request-id 原文
	Method        string      `json:"method"`
	Path          string      `json:"path"`
	Model         string      `json:"model"` // 上游模型名，不含指令；体读完才有
	FullModel     string      `json:"full_model,omitempty"`
	Stream        bool        `json:"stream"`
	Authorization string      `json:"authorization"`
	Header        http.Header `json:"header,omitempty"`
	Body          []byte      `json:"body,omitempty"` // 只在 Config.KeepBodies 时

	Status    int  `json:"status"` // 发出的应答头；0 为没有发出
	Usage          // 完整写给客户端的最后一份用量
	UsageSent bool `json:"usage_sent"`
	Chunks    int  `json:"chunks"` // 写出的内容块

	// 三者至多一个为真；都为假时还在进行。
	Finished bool `json:"finished"` // 全部字节已写出
	Aborted  bool `json:"aborted"`  // 对方先走了
	Cut      bool `json:"cut"`      // 按剧本在中途断开

	Start time.Time `json:"start"`
	End   time.Time `json:"end"` // 进行中为零值
}

// Stats 是计数；DELETE /control/ledger 与 ResetLedger 清零（in-flight 除外）。
type Stats struct {
	InFlight    int64 `json:"in_flight"`
	MaxInFlight int64 `json:"max_in_flight"`
	BusyNS      int64 `json:"busy_ns"`     // in-flight 对时间的积分：两次读数之差除以相隔的时间即平均在途数
	Connections int64 `json:"connections"` // 接受过的 TCP 连接；只在自己监听时计数

	Requests int64 `json:"requests"` // 到达的，等于下面三者之和加上进行中的
	Finished int64 `json:"finished"`
	Aborted  int64 `json:"aborted"`
	Cut      int64 `json:"cut"`
	Refused  int64 `json:"refused"` // 因自己的限额答了 429 的（也在 Finished 里）

	ByStatus map[int]int64    `json:"by_status"` // 已结束的，按应答状态；0 为没有应答头
	ByPath   map[string]int64 `json:"by_path"`   // 到达的，按路径

	Usage         // 报告出去的总和
	Dropped int64 `json:"ledger_dropped"` // 超过 LedgerLimit 而被丢掉的行
}

// book 是账本与计数；一把锁护着它们，故 Stats 与 Ledger 总是相符。
type book struct {
	now   func() time.Time
	off   bool // 只计数，不留行
	limit int

	mu     sync.Mutex
	seq    int64
	stats  Stats
	rows   []*record
	byBase map[string][]*record // 键是去掉 "-<n>" 的请求号
}

// record 是进行中的一行；字段由 book.mu 护着。
type record struct{ entry Entry }

func newBook(now func() time.Time, off bool, limit int) *book {
	b := &book{now: now, off: off, limit: limit}
	b.clearLocked()
	return b
}

// open 在读请求体之前记下一行。
func (b *book) open(r *http.Request) *record {
	rec := &record{entry: Entry{
		RequestID: r.Header.Get("X-Request-Id"), Method: r.Method, Path: r.URL.Path,
		Authorization: r.Header.Get("Authorization"), Start: b.now(),
	}}
	if !b.off {
		rec.entry.Header = r.Header.Clone()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	rec.entry.Seq = b.seq
	b.stats.Requests++
	b.stats.ByPath[route(r.URL.Path)]++
	if b.off {
		return rec
	}
	if b.limit > 0 && len(b.rows) >= b.limit {
		b.evictLocked()
	}
	b.rows = append(b.rows, rec)
	base := baseID(rec.entry.RequestID)
	b.byBase[base] = append(b.byBase[base], rec)
	return rec
}

func (b *book) evictLocked() {
	old := b.rows[0]
	b.rows[0] = nil
	b.rows = b.rows[1:]
	b.stats.Dropped++
	base := baseID(old.entry.RequestID)
	if rest := b.byBase[base][1:]; len(rest) > 0 {
		b.byBase[base] = rest
	} else {
		delete(b.byBase, base)
	}
}

// update 在锁内改写一行。
func (b *book) update(rec *record, change func(*Entry)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&rec.entry)
}

// report 记下已写给客户端的用量，替换先前的一份；返回多出的记号数。nil 撤回。
func (b *book) report(rec *record, u *Usage) (delta int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := rec.entry.Usage
	rec.entry.Usage, rec.entry.UsageSent = Usage{}, u != nil
	if u != nil {
		rec.entry.Usage = *u
	}
	b.stats.Usage.add(old, -1)
	b.stats.Usage.add(rec.entry.Usage, 1)
	return rec.entry.Prompt + rec.entry.Completion - old.Prompt - old.Completion
}

func (u *Usage) add(v Usage, sign int) {
	u.Prompt += sign * v.Prompt
	u.Completion += sign * v.Completion
	u.Cached += sign * v.Cached
	u.Reasoning += sign * v.Reasoning
}

type outcome uint8

const (
	open outcome = iota
	finished
	aborted
	cut
)

// settle 记下结局；可以再改（最后一个字节没有写成时，finished 改为 aborted）。
func (b *book) settle(rec *record, status int, o outcome) {
	end := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	e := &rec.entry
	b.countLocked(e, -1)
	e.Status, e.End = status, end
	e.Finished, e.Aborted, e.Cut = o == finished, o == aborted, o == cut
	b.countLocked(e, 1)
}

func (b *book) countLocked(e *Entry, n int64) {
	switch {
	case e.Finished:
		b.stats.Finished += n
	case e.Aborted:
		b.stats.Aborted += n
	case e.Cut:
		b.stats.Cut += n
	default:
		return
	}
	b.stats.ByStatus[e.Status] += n
	if b.stats.ByStatus[e.Status] == 0 {
		delete(b.stats.ByStatus, e.Status)
	}
}

func (b *book) refused() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Refused++
}

func (b *book) snapshotStats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.ByStatus, s.ByPath = maps.Clone(s.ByStatus), maps.Clone(s.ByPath)
	return s
}

func (b *book) entries() []Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return copyRows(b.rows, func(*Entry) bool { return true })
}

// attempts 是请求号恰为 id 或 "id-<次序>" 的各行。
func (b *book) attempts(id string) []Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	rows := copyRows(b.byBase[id], func(*Entry) bool { return true })
	if base := baseID(id); base != id {
		// 请求号自己就以 "-数字" 结尾时（UUID 的末段可以全是数字），原样的那些归在它的前半截名下。
		rows = append(rows, copyRows(b.byBase[base], func(e *Entry) bool { return e.RequestID == id })...)
	}
	return rows
}

func copyRows(rows []*record, keep func(*Entry) bool) []Entry {
	out := make([]Entry, 0, len(rows))
	for _, rec := range rows {
		if keep(&rec.entry) {
			out = append(out, rec.entry)
		}
	}
	return out
}

func (b *book) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clearLocked()
}

// clearLocked 丢掉一切行与计数。进行中的请求日后结束时仍计入 Finished 等，但不再有行。
func (b *book) clearLocked() {
	b.stats = Stats{ByStatus: make(map[int]int64), ByPath: make(map[string]int64)}
	b.rows, b.byBase = nil, make(map[string][]*record)
}

// baseID 去掉网关加在请求号后面的 "-<次序>"。
func baseID(id string) string {
	at := strings.LastIndexByte(id, '-')
	if at <= 0 || at == len(id)-1 {
		return id
	}
	for _, c := range id[at+1:] {
		if c < '0' || c > '9' {
			return id
		}
	}
	return id[:at]
}

// route 把带名字的路径归为一类，使 ByPath 有界。
func route(path string) string {
	for _, prefix := range []string{"/v1/models", "/v1/files"} {
		if strings.HasPrefix(path, prefix+"/") {
			return prefix + "/{id}"
		}
	}
	return path
}
