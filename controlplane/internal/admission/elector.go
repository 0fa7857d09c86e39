package admission

import (
	"context"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// ElectorConfig 的零值可用。
type ElectorConfig struct {
	// Address 是写进那一行的地址，节点由它找到本副本；可空。
	Address string
	// TTL 是那一行在数据库里有效多久；0 为 6 秒。
	TTL time.Duration
	// RenewEvery 是多久续一次；0 为 TTL 的四分之一。
	RenewEvery time.Duration
	// Margin 是比那一行早多久停手；0 为 TTL 的四分之一。
	Margin time.Duration
	// Poll 是没有当任时多久看一次；0 为 250 毫秒。
	Poll time.Duration
}

// ElectorDeps 都必须给。
type ElectorDeps struct {
	Seats Seats
	// Lead 当任到 ctx 结束，或自己返回（任期作废）；ctx 结束之后须立刻返回，那时已经一帧也不会再发。
	Lead func(ctx context.Context, l *Lease) error
	Log  *zap.Logger
}

// Elector 争取、保有、交出当任。
type Elector struct {
	cfg    ElectorConfig
	deps   ElectorDeps
	holder string
	quiet  repeatLog
	// highest 是听说过的最大任期。
	highest atomic.Uint64

	// stood 是那一行最近一次变了之后的样子，stoodAt 是读到它的时刻；只有 Run 的协程用。
	stood   Seat
	stoodAt time.Time

	mu     sync.Mutex
	seat   Seat
	seatAt time.Time
}

// 任期为什么结束；记在日志里，也是 Lead 的 ctx 的 Cause。
var (
	errExpired  = errors.New("could not renew the leader row in time")
	errTaken    = errors.New("another replica holds a newer term")
	errStopping = errors.New("this replica is shutting down")
)

// NewElector 造一个 Elector；每个进程的每次运行都是不同的参选者。
func NewElector(cfg ElectorConfig, deps ElectorDeps) *Elector {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&cfg.TTL, 6 * time.Second}, {&cfg.Poll, 250 * time.Millisecond}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	if cfg.RenewEvery == 0 {
		cfg.RenewEvery = cfg.TTL / 4
	}
	if cfg.Margin == 0 {
		cfg.Margin = cfg.TTL / 4
	}
	return &Elector{cfg: cfg, deps: deps, holder: crand.Text()}
}

// Run 争当任到 ctx 结束，然后停手并交出；数据库的错误只记下，不结束。只可调用一次。
func (e *Elector) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if lease := e.campaign(ctx); lease != nil {
			e.reign(ctx, lease)
			continue
		}
		sleep(ctx, e.cfg.Poll/2+rand.N(e.cfg.Poll/2))
	}
	return nil
}

// Leader 是最近看到的当任者；不知道、已过期或就是自己则 ok 为假。
func (e *Elector) Leader() (s Seat, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known := e.seat.Holder != "" && e.seat.Holder != e.holder && time.Since(e.seatAt) < e.seat.Left
	return e.seat, known
}

// Term 是听说过的最大任期。
func (e *Elector) Term() uint64 { return e.highest.Load() }

// heard 记下节点或数据库说过的任期。
func (e *Elector) heard(term uint64) {
	for {
		known := e.highest.Load()
		if term <= known || e.highest.CompareAndSwap(known, term) {
			return
		}
	}
}

// campaign 看一眼那一行，空着就争；没有得到则为 nil。
func (e *Elector) campaign(ctx context.Context) *Lease {
	lease, err := e.tryAcquire(ctx)
	switch {
	case ctx.Err() != nil:
		// 应了又不想要：Run 不会再来，那一行要交出去。
		if lease != nil {
			e.release(ctx, lease)
		}
		return nil
	case err != nil && e.quiet.due(time.Now()):
		e.deps.Log.Warn("cannot reach the leader row", zap.Error(err))
	case err == nil && e.quiet.over():
		e.deps.Log.Info("the leader row is reachable again")
	}
	return lease
}

func (e *Elector) tryAcquire(ctx context.Context) (*Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, e.valid())
	defer cancel()
	read := time.Now()
	seat, err := e.deps.Seats.ReadSeat(ctx)
	if err != nil {
		return nil, err
	}
	e.heard(seat.Term)
	e.note(seat, read)
	stale := e.stale(seat, read)
	if seat.Left > 0 && seat.Holder != "" && seat.Holder != e.holder && stale == (Seat{}) {
		return nil, nil
	}
	known := e.highest.Load()
	sent := time.Now()
	term, err := e.deps.Seats.AcquireSeat(ctx, Claim{Holder: e.holder, Address: e.cfg.Address, TTL: e.cfg.TTL, AtLeast: known, Stale: stale})
	if err != nil || term == 0 {
		return nil, err
	}
	e.heard(term)
	l := newLease(Title{e.holder, term}, sent.Add(e.valid()))
	l.First, l.Doubtful = known == 0 && term == 1, known > seat.Term
	return l, nil
}

// stale 是一行以自己的单调钟看 TTL 之久没有变过的样子：没有人在续它了，不论数据库的钟怎样拨过。
// read 是发出这次读的时刻；还不到那么久则为零值。
func (e *Elector) stale(seat Seat, read time.Time) Seat {
	if seat.Holder == e.stood.Holder && seat.Term == e.stood.Term && seat.Expires == e.stood.Expires {
		if seat.Holder != "" && read.Sub(e.stoodAt) >= e.cfg.TTL {
			return seat
		}
		return Seat{}
	}
	e.stood, e.stoodAt = seat, time.Now()
	return Seat{}
}

// valid 是从发出一次成功的续期起可以当任多久。
func (e *Elector) valid() time.Duration { return e.cfg.TTL - e.cfg.Margin }

func (e *Elector) note(seat Seat, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seat, e.seatAt = seat, at
}

// reign 当任到失去或停下；返回时 Lead 已经返回。
func (e *Elector) reign(ctx context.Context, l *Lease) {
	log := e.deps.Log.With(zap.Uint64("term", l.Term))
	log.Info("leadership gained", zap.String("address", e.cfg.Address))
	leading, cancel := context.WithCancelCause(ctx)
	done := make(chan error, 1)
	go func() { done <- e.deps.Lead(leading, l) }()

	why := e.hold(ctx, l, done)
	cancel(why)
	began := time.Now()
	if ended := <-done; why == nil {
		why = ended
	}
	e.note(Seat{}, time.Now())
	switch {
	case errors.Is(why, errStopping):
		e.release(ctx, l)
		log.Info("leadership handed over", zap.Duration("took", time.Since(began)))
	case errors.Is(why, errExpired), errors.Is(why, errTaken):
		log.Warn("leadership lost", zap.Error(why))
	default:
		e.release(ctx, l)
		log.Warn("leadership lost", zap.Error(why))
		sleep(ctx, e.cfg.Poll)
	}
}

// hold 续期，直到任期因返回的理由结束；nil 是 Lead 自己先返回了。
func (e *Elector) hold(ctx context.Context, l *Lease, done chan error) error {
	renew := time.NewTimer(e.cfg.RenewEvery)
	defer renew.Stop()
	for {
		select {
		case <-ctx.Done():
			return errStopping
		case err := <-done:
			done <- err
			return nil
		case <-renew.C:
		}
		held, err := e.renew(ctx, l)
		switch {
		case ctx.Err() != nil:
			return errStopping
		case err == nil && !held:
			return errTaken
		case l.Left() <= 0:
			return errExpired
		case err != nil:
			if e.quiet.due(time.Now()) {
				e.deps.Log.Warn("cannot renew the leader row", zap.Duration("steps_down_in", l.Left()), zap.Error(err))
			}
			renew.Reset(min(e.cfg.Poll, l.Left()))
		default:
			e.quiet.over()
			renew.Reset(e.cfg.RenewEvery)
		}
	}
}

// renew 的期限就是停手的时刻：续不上时恰好在那时返回。
func (e *Elector) renew(ctx context.Context, l *Lease) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.Left())
	defer cancel()
	sent := time.Now()
	held, err = e.deps.Seats.RenewSeat(ctx, l.Title, e.cfg.TTL)
	if err == nil && held && l.Left() > 0 {
		l.extend(sent.Add(e.valid()))
	}
	return held, err
}

func (e *Elector) release(ctx context.Context, l *Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := e.deps.Seats.ReleaseSeat(ctx, l.Title); err != nil {
		e.deps.Log.Warn("cannot hand over the leader row; it expires by itself", zap.Uint64("term", l.Term), zap.Error(err))
	}
}
