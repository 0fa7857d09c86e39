package journal

import usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

// Opening 是重放要知道的：进程死在这个请求里时，凭它补上一条记录。
type Opening struct {
	ID              string
	KeyID           string
	App             string
	Model           string
	Endpoint        string
	ClientRequestID string
	Revision        uint64
	StartedUnixMS   int64
	QueueUS         int64
	Stream          bool
	Call            Call
}

// Call 是将要开始的一次上游调用。
type Call struct {
	Number        int32
	Server        string
	UpstreamModel string
	ServedModel   string
	StartedUnixMS int64
}

// Progress 是一次还在进行的调用到此为止的用量：累计值，后来的代替先前的；缺席不是零。
type Progress struct {
	Usage    usagev1.Usage
	CostNano int64
	Source   usagev1.Source
}

// Ticket 是一个进行中的请求在记录里的凭据，值类型；零值不可用，由 Open 造。
// 方法由同一个协程依次调用；以恰好一次 Close 或 Abandon 结束，其后不得再用。
type Ticket struct {
	j    *Journal
	id   uint64 // 盘上那几帧的号；0 即这个请求只在内存里
	slot int32
}

// Open 记下一个请求将要送出第一个上游字节；在送之前调用，返回时这件事已经经得起进程被杀。
// 盘不肯收时这个请求只记在内存里，从头到尾都是：两份记录的序号不相混。
func (j *Journal) Open(o Opening) Ticket {
	j.inFlight.Add(1)
	if j.disk != nil {
		if id, slot, ok := j.disk.open(&o); ok {
			return Ticket{j, id, slot}
		}
	}
	return Ticket{j: j}
}

// Next 记下前一次调用的结局，与将要开始的下一次；同样在下一次的第一个字节之前。
func (t Ticket) Next(ended *usagev1.Attempt, next Call) {
	if t.id != 0 {
		t.j.disk.next(t, ended, &next)
	}
}

// Progress 记下正在进行的这次调用到此为止的用量；从不等磁盘，写不进去就算了。
func (t Ticket) Progress(p *Progress) {
	if t.id != 0 {
		t.j.disk.progress(t, p)
	}
}

// Dropped 说开着的这次调用一个字节也没有到上游；若它是唯一的一次，就以 Abandon 代替。
func (t Ticket) Dropped() {
	if t.id != 0 {
		t.j.disk.dropped(t)
	}
}

// Abandon 说这个请求到底没有一个字节到过上游：当作没有 Open 过。
func (t Ticket) Abandon() {
	if t.id != 0 {
		t.j.disk.abandon(t)
	}
	t.j.inFlight.Add(-1)
}

// Close 追加一个结束了的请求，从不阻塞；返回时它已经经得起进程被杀，r 还归调用者。
// 非 UTF-8 或过长的文本、越界的数字在记下的那一份里会被改写，否则一条记录就能让整批编不出来，或者被控制面退回。
func (t Ticket) Close(r *usagev1.Request) {
	if t.id != 0 {
		t.j.disk.close(t, r)
	} else {
		t.j.unjournalled.Add(1)
		t.j.memory.append(&usagev1.Record{Body: &usagev1.Record_Request{Request: kept(r)}})
	}
	t.j.inFlight.Add(-1)
}
