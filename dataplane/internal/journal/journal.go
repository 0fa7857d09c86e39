package journal

import (
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

	"github.com/vega-gateway/vega/dataplane/internal/segments"
)

// Config 的零值可用。
type Config struct {
	// MaxRecords 是环里最多的记录数（连同留着备用的）；0 即 200,000，约 0.1–0.2 GB。
	MaxRecords int
	// KeepAcked 是确认之后仍留在内存里的记录数，数据库回到过去时凭它补报；0 即 10,000，负数即不留。
	KeepAcked int
	// WakeAt 是攒到多少条没取过的记录就发 Wake；0 即 1,000。
	WakeAt int
	// Epoch 是内存里那份记录序列的号；0 即随机取一个非零的。
	Epoch uint64
	// KnownModel 说一个名字是不是公开模型名；不是的（客户端乱报的）在拒绝里不留名字。nil 即都认得。不得回调本包。
	KnownModel func(name string) bool
	// Now 是墙上时钟，给拒绝分秒、给进展记时刻；nil 即 time.Now。
	Now func() time.Time

	// Trouble 是没有盘的缘由（英文，一行），只供 Health 说出来；有盘的不看。
	Trouble string
	// KeepFor 与 KeepBytes 是盘上确认过的留多久、至多留多少字节，数据库回到过去时凭它补报；0 即 15 分钟与 64 MiB。
	KeepFor   time.Duration
	KeepBytes int64
	// Segments 是盘上那份日志的设置；Notify 由本包占用。
	Segments segments.Config
	// Log 记盘的好坏；nil 即不记。
	Log *zap.Logger
}

func (c Config) withDefaults() Config {
	orDefault(&c.MaxRecords, 200_000)
	orDefault(&c.KeepAcked, 10_000)
	orDefault(&c.WakeAt, 1_000)
	orDefault(&c.KeepFor, 15*time.Minute)
	orDefault(&c.KeepBytes, 64<<20)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.KnownModel == nil {
		c.KnownModel = func(string) bool { return true }
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Epoch == 0 {
		c.Epoch = newEpoch()
	}
	return c
}

func orDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

func newEpoch() (epoch uint64) {
	for epoch == 0 {
		var b [8]byte
		rand.Read(b[:]) // 从不返回错误
		epoch = binary.LittleEndian.Uint64(b[:])
	}
	return epoch
}

// Source 是一个 epoch 的记录序列，取批与确认都按它来。方法都可并发调用，取批的人只应有一个。
type Source interface {
	// Epoch 是这份记录序列的号，非零。
	Epoch() uint64
	// Durable 说它写在盘上。
	Durable() bool
	// Batch 取出从 from 起至多 limit 条连续的记录（约 1 MiB 为限），附到 last_seq 为止的累计数；没有可取的返回 nil。
	// from 为 0 当作 1。已过去的那些秒的拒绝先成为记录。node_id 与 sent_unix_ms 由送的人填。
	// 盘上的那一份，records 以线上编码放在消息的未知字段里：编出来一样，而不必先解开；要看内容的先编再解。
	Batch(from uint64, limit int) *usagev1.Batch
	// Acked 说 hw 及以前的记录已经落库；小于已知的确认不理。
	Acked(hw uint64)
	// Rewind 说数据库回到了过去，只记得 hw 及以前的；其后的记录又都算没报。hw 不小于已知的确认则无事。
	Rewind(hw uint64)
	// Flush 叫醒取批的人，返回此刻最大的序号（没有记录为 0）。
	Flush() uint64
	// Wake 在攒够一批或有人 Flush 时有一个信号；容量 1，取走即清。
	Wake() <-chan struct{}
	Stats() Stats
}

// Journal 是一个节点的用量记录。用 New 或 OpenDir 造。它自己也是 Source：盘上在写的那一份，没有盘就是内存里的。
type Journal struct {
	now          func() time.Time
	known        func(string) bool
	log          *zap.Logger
	inFlight     atomic.Int64
	unjournalled atomic.Int64
	refusals     refusals
	memory       *memory
	disk         *disk // nil 即没有盘
	trouble      string
}

// New 造一份空的、只在内存里的记录。
func New(cfg Config) *Journal {
	cfg = cfg.withDefaults()
	j := &Journal{now: cfg.Now, known: cfg.KnownModel, log: cfg.Log, trouble: cfg.Trouble}
	j.memory = newMemory(cfg, j.tidy)
	return j
}

// OpenDir 造一份写在 dir 里的记录：先把上一次运行留下的重放完。独占 dir 由调用者保证。
// 盘满与写不进不是错误，那时新的请求只记在内存里；读不懂盘上的东西是错误，什么也不动。
// 要落盘、要腾地方，还得跑 Run；停下时先等 Run 返回，再 Shut。
func OpenDir(dir string, cfg Config) (*Journal, error) {
	j := New(cfg)
	var err error
	j.disk, err = openDisk(dir, cfg.withDefaults(), j.tidy)
	if err != nil {
		return nil, err
	}
	return j, nil
}

// Sources 是此刻全部的记录序列：在写的那一份在最前，其后是从前的，内存里的在最后。
// 随时可能多出一份来，所以要隔一会儿再问。
func (j *Journal) Sources() []Source {
	var list []Source
	if j.disk != nil {
		for _, s := range j.disk.all() {
			list = append(list, s)
		}
	}
	return append(list, j.memory)
}

func (j *Journal) primary() Source {
	if j.disk != nil {
		return j.disk.current()
	}
	return j.memory
}

// 以下使 Journal 自己也是一份 Source。

func (j *Journal) Epoch() uint64 { return j.primary().Epoch() }

func (j *Journal) Durable() bool { return j.primary().Durable() }

func (j *Journal) Batch(from uint64, limit int) *usagev1.Batch { return j.primary().Batch(from, limit) }

func (j *Journal) Acked(hw uint64) { j.primary().Acked(hw) }

func (j *Journal) Rewind(hw uint64) { j.primary().Rewind(hw) }

func (j *Journal) Wake() <-chan struct{} { return j.primary().Wake() }

// Refuse 记一次没有到过任何上游的拒绝；app 与 model 可空。同一秒内相同的合成一条，那一秒过去后成为记录。
// 不认得的模型名不留：它来自客户端，留着就能撑大内存与控制面的用量表。
func (j *Journal) Refuse(app, model, code string) {
	if model != "" && !j.known(model) {
		model = ""
	}
	j.refused(j.refusals.add(j.now().Unix(), clean(app), clean(model), clean(code)))
}

// tidy 让过去了的那些秒的拒绝成为记录。
func (j *Journal) tidy() { j.refused(j.refusals.ended(j.now().Unix())) }

func (j *Journal) refused(list []*usagev1.Refusals) {
	for _, r := range list {
		if j.disk == nil || !j.disk.refuse(r) {
			j.memory.append(&usagev1.Record{Body: &usagev1.Record_Refusals{Refusals: r}})
		}
	}
}

// Flush 让合计中的拒绝立刻成为记录，并叫醒取批的人；返回 Epoch 那一份此刻最大的序号（没有记录为 0）。
func (j *Journal) Flush() uint64 {
	j.refused(j.refusals.take())
	return j.primary().Flush()
}

func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// Stats 是此刻的数目；序号是 Epoch 那一份的，其余是全部序列之和。
type Stats struct {
	InFlight   int64  // Open 了还没 Close 的请求；只有 Journal 知道
	Unreported int64  // 还没被确认的记录（连同已丢的、等着写的）
	Dropped    int64  // 未经确认就因内存的环满丢掉的记录，只增
	FirstSeq   uint64 // 还拿得出的最小序号；没有记录时是 LastSeq+1
	LastSeq    uint64 // 写下的最大序号；没有为 0
	AckedSeq   uint64 // 已确认到哪里
}

// Stats 返回此刻的数目。
func (j *Journal) Stats() Stats {
	st := j.primary().Stats()
	st.InFlight, st.Unreported, st.Dropped = j.inFlight.Load(), 0, 0
	for _, s := range j.Sources() {
		one := s.Stats()
		st.Unreported += one.Unreported
		st.Dropped += one.Dropped
	}
	if j.disk != nil {
		st.Unreported += int64(j.disk.waiting())
	}
	return st
}
