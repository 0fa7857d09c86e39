package live

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// feed 是一个主题：有人看才算，变了才发。
type feed struct {
	topic Topic
	// read 算出此刻的值；错误时留着上一份。
	read func(ctx context.Context) (any, error)
	// due 说与上一份相比，过了 since 的 next 该不该发。
	due func(last, next any, since time.Duration) bool
	// pace 是下一次多久以后算。
	pace func() time.Duration
	log  *zap.Logger
	wake chan struct{}

	mu     sync.Mutex
	subs   map[*Subscription]struct{}
	last   *Event
	sentAt time.Time
	// frozen 说最近一次没有算出：手上的一份不是此刻的。
	frozen bool
}

// readTimeout 是算一次至多多久。
const readTimeout = 5 * time.Second

func newFeed(topic Topic, log *zap.Logger) *feed {
	return &feed{topic: topic, log: log.With(zap.String("topic", string(topic))), wake: make(chan struct{}, 1), subs: map[*Subscription]struct{}{}}
}

// poke 要它马上算一次；没有人看时不算。
func (f *feed) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// join 让 s 先得到手上的一份；头一个来的叫醒它。
func (f *feed) join(s *Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs[s] = struct{}{}
	if f.frozen {
		s.mark(f.topic, true)
	}
	if f.last != nil {
		s.offer(f.last)
	} else {
		f.poke()
	}
}

// leave 之后没有人看了，手上的一份就不再作数：下一个来的要此刻的。
func (f *feed) leave(s *Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.subs, s)
	if len(f.subs) == 0 {
		f.last, f.frozen = nil, false
	}
}

func (f *feed) watched() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.subs) > 0
}

// run 算到 ctx 结束；没有人看时只等。
func (f *feed) run(ctx context.Context) {
	silent := false
	for ctx.Err() == nil {
		if !f.watched() {
			select {
			case <-ctx.Done():
			case <-f.wake:
			}
			continue
		}
		silent = f.round(ctx, silent)
		pause := time.NewTimer(f.pace())
		select {
		case <-ctx.Done():
		case <-f.wake:
		case <-pause.C:
		}
		pause.Stop()
	}
}

// round 算一次；接连算不出只记头一行。
func (f *feed) round(ctx context.Context, silent bool) bool {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	value, err := f.read(bounded)
	switch {
	case ctx.Err() != nil:
		return silent
	case err != nil:
		f.freeze(true)
		if !silent {
			f.log.Warn("cannot compute what watchers see; they keep the last", zap.Error(err))
		}
		return true
	case silent:
		f.log.Info("watchers see the present again")
	}
	f.publish(value)
	f.freeze(false)
	return false
}

// freeze 告诉看着的人手上的一份还是不是此刻的；没有变就不说。
func (f *feed) freeze(frozen bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.frozen == frozen || len(f.subs) == 0 {
		return
	}
	f.frozen = frozen
	for s := range f.subs {
		s.mark(f.topic, frozen)
	}
}

func (f *feed) publish(value any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if len(f.subs) == 0 || f.last != nil && !f.due(f.last.Value, value, now.Sub(f.sentAt)) {
		return
	}
	f.last, f.sentAt = &Event{Topic: f.topic, Value: value}, now
	for s := range f.subs {
		s.offer(f.last)
	}
}
