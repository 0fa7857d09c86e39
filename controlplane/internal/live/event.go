package live

import "sync"

// Topic 是一个主题，也是事件的名字。
type Topic string

// 各主题，次序就是一起来时先后送出的次序。
const (
	TopicRevision Topic = "revision"
	TopicFleet    Topic = "fleet"
	TopicQueues   Topic = "queues"
	TopicOverview Topic = "overview"
)

// Topics 列出所有的主题。
func Topics() []Topic { return []Topic{TopicRevision, TopicFleet, TopicQueues, TopicOverview} }

// Event 是一个主题完整的一份，所有订阅共用；Value 依主题是 catalog.Revision、Fleet、admission.Queues、*Overview，只读。
type Event struct {
	Topic Topic
	Value any

	once sync.Once
	data []byte
	err  error
}

// Encode 以 f 编出 Value；不管有多少订阅，只编一次，因此每次都须给同一个 f。
func (e *Event) Encode(f func(value any) ([]byte, error)) ([]byte, error) {
	e.once.Do(func() { e.data, e.err = f(e.Value) })
	return e.data, e.err
}

// Subscription 是一个人要看的几个主题，每个只留最新的一份：读者慢时，中间的被跳过。
type Subscription struct {
	publisher *Publisher
	who       string
	feeds     []*feed
	ready     chan struct{}

	mu      sync.Mutex
	pending map[Topic]*Event
	frozen  map[Topic]bool
	told    bool // frozen 变了还没有被取走则为假
	closed  bool
}

// Ready 说有没有取走的；每来一份至少响一次。
func (s *Subscription) Ready() <-chan struct{} { return s.ready }

// Done 在 Publisher 停下时关闭：此后再也没有新的。
func (s *Subscription) Done() <-chan struct{} { return s.publisher.stopped }

// Take 取走各主题最新的一份，按 Topics 的次序；没有新的为空。
func (s *Subscription) Take() []*Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*Event
	for _, t := range Topics() {
		if e := s.pending[t]; e != nil {
			out = append(out, e)
		}
	}
	clear(s.pending)
	return out
}

// Frozen 是此刻算不出、停在上一份的主题，按 Topics 的次序；changed 说自上次问过之后变了没有。
// 心跳照常，不说的话看的人会当它们是此刻的。
func (s *Subscription) Frozen() (topics []Topic, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range Topics() {
		if s.frozen[t] {
			topics = append(topics, t)
		}
	}
	changed, s.told = !s.told, true
	return topics, changed
}

// Close 退订；可以多次调用。
func (s *Subscription) Close() {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if was {
		return
	}
	for _, f := range s.feeds {
		f.leave(s)
	}
	s.publisher.seats.free(s.who)
}

func (s *Subscription) offer(e *Event) {
	s.mu.Lock()
	s.pending[e.Topic] = e
	s.mu.Unlock()
	s.ring()
}

func (s *Subscription) mark(t Topic, frozen bool) {
	s.mu.Lock()
	s.frozen[t], s.told = frozen, false
	s.mu.Unlock()
	s.ring()
}

func (s *Subscription) ring() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}
