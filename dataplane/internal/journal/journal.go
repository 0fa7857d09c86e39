package journal

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// Config 的零值可用。
type Config struct {
	// MaxRecords 是环里最多的记录数（连同留着备用的）；0 即 200,000，约 0.1–0.2 GB。
	MaxRecords int
	// KeepAcked 是确认之后仍留着的记录数，数据库回到过去时凭它补报；0 即 10,000，负数即不留。
	KeepAcked int
	// WakeAt 是攒到多少条没取过的记录就发 Wake；0 即 1,000。
	WakeAt int
	// Epoch 是这份记录序列的号；0 即随机取一个非零的。
	Epoch uint64
	// KnownModel 说一个名字是不是公开模型名；不是的（客户端乱报的）在拒绝里不留名字。nil 即都认得。不得回调本包。
	KnownModel func(name string) bool
	// Now 是墙上时钟，只用来给拒绝分秒；nil 即 time.Now。
	Now func() time.Time
}

// Journal 是一份用量记录。用 New 造。
type Journal struct {
	epoch    uint64
	wakeAt   uint64
	now      func() time.Time
	known    func(string) bool
	inFlight atomic.Int64
	wake     chan struct{}
	refusals refusals

	mu     sync.Mutex
	ring   ring
	marks  checkpoints
	acked  uint64
	handed uint64 // Batch 交出过的最大序号
	drops  int64
}

// New 造一份空的记录。
func New(cfg Config) *Journal {
	orDefault(&cfg.MaxRecords, 200_000)
	orDefault(&cfg.KeepAcked, 10_000)
	orDefault(&cfg.WakeAt, 1_000)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.KnownModel == nil {
		cfg.KnownModel = func(string) bool { return true }
	}
	for cfg.Epoch == 0 {
		var b [8]byte
		rand.Read(b[:]) // 从不返回错误
		cfg.Epoch = binary.LittleEndian.Uint64(b[:])
	}
	return &Journal{
		epoch: cfg.Epoch, wakeAt: uint64(max(1, cfg.WakeAt)), now: cfg.Now, known: cfg.KnownModel,
		wake: make(chan struct{}, 1),
		ring: ring{max: max(1, cfg.MaxRecords), keep: uint64(max(0, cfg.KeepAcked)), first: 1},
	}
}

func orDefault(v *int, d int) {
	if *v == 0 {
		*v = d
	}
}

// Epoch 是这份记录序列的号，非零。
func (j *Journal) Epoch() uint64 { return j.epoch }

// Refuse 记一次没有到过任何上游的拒绝；app 与 model 可空。同一秒内相同的合成一条，那一秒过去后成为记录。
// 不认得的模型名不留：它来自客户端，留着就能撑大内存与控制面的用量表。
func (j *Journal) Refuse(app, model, code string) {
	if model != "" && !j.known(model) {
		model = ""
	}
	for _, r := range j.refusals.add(j.now().Unix(), clean(app), clean(model), clean(code)) {
		j.append(r)
	}
}

// Flush 让合计中的拒绝立刻成为记录，并叫醒取批的人；返回此刻最大的序号（没有记录为 0）。
func (j *Journal) Flush() uint64 {
	for _, r := range j.refusals.take() {
		j.append(r)
	}
	j.signal()
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ring.last()
}

// Wake 在攒够一批或有人 Flush 时有一个信号；容量 1，取走即清。
func (j *Journal) Wake() <-chan struct{} { return j.wake }

func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

func (j *Journal) append(r *usagev1.Record) {
	j.mu.Lock()
	if dropped := j.ring.push(r); dropped > j.acked {
		j.drops++
	}
	full := j.ring.last()-min(j.handed, j.ring.last()) >= j.wakeAt
	j.mu.Unlock()
	if full {
		j.signal()
	}
}

// Stats 是此刻的数目。
type Stats struct {
	InFlight   int64  // Open 了还没 Close 的请求
	Unreported int64  // 还没被确认的记录（连同已丢的）
	Dropped    int64  // 未经确认就因环满丢掉的记录，只增
	FirstSeq   uint64 // 还拿得出的最小序号；没有记录时是 LastSeq+1
	LastSeq    uint64 // 写下的最大序号；没有为 0
	AckedSeq   uint64 // 已确认到哪里
}

// Stats 返回此刻的数目。
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	return Stats{
		InFlight: j.inFlight.Load(), Unreported: int64(j.ring.last() - j.acked), Dropped: j.drops,
		FirstSeq: j.ring.first, LastSeq: j.ring.last(), AckedSeq: j.acked,
	}
}

// Acked 说 hw 及以前的记录已经落库；小于已知的确认不理，大于最大序号的截到最大序号。
func (j *Journal) Acked(hw uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if hw = min(hw, j.ring.last()); hw > j.acked {
		j.acked = hw
		j.ring.release(hw)
	}
}

// Rewind 说数据库回到了过去，只记得 hw 及以前的；其后的记录又都算没报。hw 不小于已知的确认则无事。
func (j *Journal) Rewind(hw uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acked = min(j.acked, hw)
}
