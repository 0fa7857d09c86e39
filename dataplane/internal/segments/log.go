package segments

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Config 的零值可用。
type Config struct {
	SegmentBytes int           // 一段多大，按 4 KiB 取整，4 KiB 至 1 GiB；0 即 16 MiB
	Quota        int64         // 全部段（连同预备着的）至多占多少字节；0 即 1 GiB
	SyncEvery    time.Duration // 两次落盘至少隔多久；0 即 10 ms
	RetryEvery   time.Duration // 盘不行之后多久再试，每败一次加倍，至多 1 分钟；0 即 1 s
	Notify       func(Event)   // 出事时告诉谁，在出事的那个 goroutine 里、不拿锁时调用；nil 即不告诉
	Files        Files         // 哪一层文件；nil 即 dir 这个目录，没有就造
}

// EventKind 是出了什么事。
type EventKind int

const (
	SyncFailed  EventKind = iota + 1 // First..Last 不知道落没落盘，而且不会再试：留着它们的人应当重写
	AllocFailed                      // 预备不出下一段；手上这一段写满之前还不碍事
	Damaged                          // First..Last 读不出了
	Recovered                        // 出过事之后又预备出了下一段
)

// Event 是出的一件事；没有序号的事 First 与 Last 为 0。
type Event struct {
	Kind        EventKind
	First, Last uint64
	Err         error
}

// Append 拒绝的缘由。都不必等，调用者立刻改用别的办法。
var (
	ErrFull     = errors.New("segments: the next segment is not ready yet")
	ErrDegraded = errors.New("segments: the disk cannot take more")
	ErrQuota    = errors.New("segments: the quota is used up")
	ErrTooLarge = errors.New("segments: the frame is larger than a segment")
	ErrClosed   = errors.New("segments: closed")
	// ErrUnsynced 是 WaitSynced 的：那一帧落盘失败了。
	ErrUnsynced = errors.New("segments: the frame could not be synced")
)

// Hole 是再也读不出的一段序号，Last 含在内。
type Hole struct {
	First, Last uint64
	Reason      string // 英文，一句
}

// Log 是一份帧的日志。用 Open 造，Run 使它落盘，用完 Close。
type Log struct {
	cfg   Config
	files Files
	kick  chan struct{} // 叫醒 Run

	// dir 使建、删、改名一次只有一个；先拿它，再拿 mu。
	dir   sync.Mutex
	names map[string]bool // 目录里像段的名字，连同不归我们管的：不改名到别人头上

	mu       sync.Mutex
	segs     []*segment // 按序号；不空的才在
	active   *segment   // 正在收帧的，总是 segs 的最后一个；nil 即下一帧要换段
	ahead    *segment   // 预备好的
	retired  []*segment // 一帧也没有的，文件等 Run 来删
	next     uint64     // 下一帧的序号
	number   uint64     // 用过的最大段号
	bytes    int64
	synced   uint64
	dirty    bool
	closed   bool
	moved    chan struct{} // synced 前进时关闭并换新的
	holes    []Hole
	suspects []Hole
	refusal  error // 没有预备好的段时 Append 答什么
	retry    time.Duration
	tally    tally
	newest   *found // 只在打开时用
}

// Open 打开 dir 里的日志，验过每一帧，截掉没写完的尾巴，隔离坏了的段。独占由调用者保证（数据目录有锁）。
// 版本不认得、目录读不了是错误；盘满不是，那时 Append 说得出来。要落盘，还得跑 Run。
func Open(dir string, cfg Config) (*Log, error) {
	const page = 4096
	cfg.SegmentBytes = min((max(orDefault(cfg.SegmentBytes, 16<<20), page)+page-1)&^(page-1), maxFile)
	cfg.Quota = orDefault(cfg.Quota, 1<<30)
	cfg.SyncEvery = orDefault(cfg.SyncEvery, 10*time.Millisecond)
	cfg.RetryEvery = orDefault(cfg.RetryEvery, time.Second)
	if cfg.Notify == nil {
		cfg.Notify = func(Event) {}
	}
	l := &Log{
		cfg: cfg, files: cfg.Files, kick: make(chan struct{}, 1), moved: make(chan struct{}),
		names: make(map[string]bool), next: 1, refusal: ErrFull, retry: cfg.RetryEvery,
	}
	var err error
	if l.files == nil {
		if l.files, err = newFiles(dir); err != nil {
			return nil, fmt.Errorf("open segments: %w", err)
		}
	}
	if err = l.recover(); err != nil {
		_ = l.unmap()
		return nil, fmt.Errorf("open segments: %w", err)
	}
	l.prepare()
	return l, nil
}

func orDefault[T int | int64 | time.Duration](v, d T) T {
	if v <= 0 {
		return d
	}
	return v
}

// Close 不再收帧，把还没落盘的落盘，放开映射；在读的人用完才拆。Run 要先停。
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed, l.active = true, nil
	l.mu.Unlock()
	l.syncAll()
	l.dir.Lock()
	defer l.dir.Unlock()
	return l.unmap()
}

func (l *Log) unmap() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := append(append([]*segment(nil), l.segs...), l.retired...)
	if l.ahead != nil {
		all = append(all, l.ahead)
	}
	l.segs, l.retired, l.ahead, l.active, l.closed = nil, nil, nil, nil, true
	close(l.moved)
	l.moved = make(chan struct{})
	var err error
	for _, s := range all {
		err = errors.Join(err, l.release(s))
	}
	return err
}

// pin 使 s 的映射在 unpin 之前不被拆掉；要拿着 mu。
func (l *Log) pin(s *segment) { s.pins++ }

func (l *Log) unpin(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.pins--; s.pins == 0 && s.gone {
		_ = s.mapping.Close() // 拆不掉只是多占一段地址
	}
}

// release 除名一段：没人用就当场拆掉映射。要拿着 mu。
func (l *Log) release(s *segment) error {
	s.gone = true
	if s.pins > 0 && !broken(bugUnmapEarly) {
		return nil
	}
	return s.mapping.Close()
}

// nudge 叫醒 Run。
func (l *Log) nudge() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}
