package schedule

import (
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

const (
	// LeaseTTL 是一次租期：节点这么久没有收到授予者的话，就只能靠安全份额。
	LeaseTTL = 10 * time.Second
	// drift 是两台机器单调钟快慢之差的上限（百分之几）。
	drift = 1
	// slack 吸收两边记时的先后：授予者总比节点多等这么久。
	slack = time.Second
	// GhostTTL 是节点的新一轮运行报到之后，上一轮的许可再占多久：进程死了，内核已经关掉它到上游的连接。
	GhostTTL = 2 * time.Second

	heartbeat  = 500 * time.Millisecond
	ackDelay   = 20 * time.Millisecond
	deafAfter  = 3 * time.Second
	unitLife   = time.Second
	returnAge  = 800 * time.Millisecond
	peakWindow = 2 * time.Second

	// frameItems 是一帧里 served 的条数、waiters 连同其候选的个数的上限：名字再长也只有几 MB，控制面与一路的代理都收得下。
	frameItems = 4096
	// tellAhead 是一次说不完的，至多有几帧还没有被确认就接着发。
	tellAhead = 8
	// demandGap 是心跳之外说想留多少的最短间隔。
	demandGap = 50 * time.Millisecond
)

// HolderConfig 除 Version 与 Stored 外都要给。
type HolderConfig struct {
	Node  string
	Epoch uint64 // 同一节点名的后一次运行必须更大
	// Instance 是独占着的数据目录的编号：后一次运行给出同一个，即前一次一定已经结束。没有独占目录的给一个不重的。
	Instance string
	Version  string
	Now      Time
	Stored   *admissionv1.Share // 盘上的安全份额；nil 即从没有过
}

// Holder 是节点这一边：手上有多少许可、谁在等、控制面不在时怎么办。宿主只管钟、锁与收发。
//
// 不变量：持有的（held）从不超过授予者账上的加上认下而对面还没有收到的（Claims）；减少时先减自己的再说，增加时对方先记了账。
// 租期一过，新的请求只在 min(持有, 份额) 之内开始；再过一段足以让人人都收敛的时间，才可以用到份额。
// 速率单位不在 held 里：租期一过就只有份额，而且等授予者一定已经让出才用。
type Holder struct {
	cfg     HolderConfig
	core    *Core
	spec    *Spec
	servers map[string]*ServerSpec
	apps    map[string]*AppSpec

	now     Time
	stocks  map[Pool]*stock // 在途池
	rates   map[Pool]*rate  // 请求数与 token 池
	order   []*stock        // stocks 的固定次序
	rated   []*rate
	served  map[servedKey]*served
	serves  []*served
	aborts  abortHeap
	waiters map[uint64]*Waiter
	fresh   []*Waiter // 这一步里新来的，还没有递给授予者
	levels  map[Pool]levelSeen
	renewed renewals

	// 与授予者的流。
	wire      link[*admissionv1.AdmitRequest]  // 发出的
	inbox     link[*admissionv1.AdmitResponse] // 收下的
	connected bool                             // 流开着，Hello 已发
	welcomed  bool
	telling   bool // 报到还没有说完
	items     int  // 一帧里至多几件，见 frameItems；试验里更小
	term      uint64
	stream    uint64
	pending   *admissionv1.AdmitRequest // 正在攒的一帧
	ackDue    Time
	beatAt    Time
	peaksAt   Time
	hungry    bool // 有请求因为本地不够而去要：随它说想留多少
	fedAt     Time
	heardAt   Time
	clock     clockBound

	// 租期与安全份额。
	leaseEnd Time
	safe     bool
	growBase Time // 从它起数到可以用足份额
	oldBase  Time // 这次报到之前的 growBase：没有人为它记账时还原
	cutAt    Time // 与授予者断开的时刻；从没有被认过即启动的时刻
	rateAt   Time // 至早何时可以用速率份额：到那时授予者一定已经让出来了
	alone    bool // 正用着速率份额；报到期间停手（Cap.Held），见 connect
	share    *admissionv1.Share
	shares   map[Pool]shareUnits
	stored   uint64 // 已落盘的份额版本
	parting  bool   // 要走了：盘上的份额抹去之前不道别，此后给的份额也不要

	wake    Time // advance 下一次有事做的时刻
	effects []HolderEffect
	taken   bool // effects 已经交给宿主，下一次从头攒
}

// NewHolder 造一个还没有配置、没有租期的 Holder。
func NewHolder(cfg HolderConfig) *Holder {
	h := &Holder{
		cfg: cfg, core: NewCore(), stocks: map[Pool]*stock{}, rates: map[Pool]*rate{}, served: map[servedKey]*served{},
		waiters: map[uint64]*Waiter{}, levels: map[Pool]levelSeen{}, renewed: renewals{}, servers: map[string]*ServerSpec{}, apps: map[string]*AppSpec{}, spec: &Spec{},
		items: frameItems, safe: true, leaseEnd: cfg.Now, growBase: cfg.Now, shares: map[Pool]shareUnits{}, cutAt: cfg.Now, rateAt: noticedBy(cfg.Now),
	}
	if cfg.Stored != nil {
		h.stored = cfg.Stored.GetVersion()
		h.adoptShare(cfg.Stored)
	}
	return h
}

// HolderEvent 是发生在节点上的一件事。
type HolderEvent interface{ holderEvent() }

// Started 说宿主刚在 Judge 说可以之后开始了一个请求；Permit 的 Request、Server、Upstream 已填好。
type Started struct{ Permit *Permit }

// Finished 说一个请求用完了它的许可；Used、Known、Aborted 已填好。
type Finished struct{ Permit *Permit }

// Progressed 说一个流又用了些 token，Used 是至今的数。
type Progressed struct{ Permit *Permit }

// Arrived 说一个请求要等。
type Arrived struct{ Waiter *Waiter }

// Left 说一个在等的请求不等了；已有结局的无害。
type Left struct{ Waiter *Waiter }

// Changed 给一个在等的请求换上新的候选，位置不变。
type Changed struct {
	Waiter     *Waiter
	Candidates []Candidate
}

// TargetPaused 说上游以 429 要一个目标歇一会儿。
type TargetPaused struct {
	Server, Upstream string
	For              time.Duration
}

// Configured 换上一版配置。
type Configured struct{ Spec *Spec }

// Connected 说一条到授予者（或许是）的流开了。
type Connected struct{}

// Received 是授予者的一帧。
type Received struct{ Response *admissionv1.AdmitResponse }

// Broken 说流断了。Unbooked 说确知没有人为这次报到记账：对面以一个状态回绝了它。说不清的为假。
type Broken struct{ Unbooked bool }

// UnbookedTrailer 是控制面回绝一条流时留在 gRPC trailer 里的名字：Hello 没有交给授予者，没有人为它记账。
const UnbookedTrailer = "vega-unbooked"

// Stored 说这一版份额已经落盘。
type Stored struct{ Version uint64 }

// Ticked 说到了 Next 的时刻。
type Ticked struct{}

// Parting 说节点要走了，手上的都做完了。道别使份额归公，所以先有一次 Store 空的份额（版本 0），落了盘才发告别；
// 没有流就什么也不做：无人可说，份额还是它的。
type Parting struct{}

func (Started) holderEvent()      {}
func (Finished) holderEvent()     {}
func (Progressed) holderEvent()   {}
func (Arrived) holderEvent()      {}
func (Left) holderEvent()         {}
func (Changed) holderEvent()      {}
func (TargetPaused) holderEvent() {}
func (Configured) holderEvent()   {}
func (Connected) holderEvent()    {}
func (Received) holderEvent()     {}
func (Broken) holderEvent()       {}
func (Stored) holderEvent()       {}
func (Ticked) holderEvent()       {}
func (Parting) holderEvent()      {}

// HolderEffectKind 是宿主要做的事。
type HolderEffectKind uint8

const (
	Admit    HolderEffectKind = iota + 1 // Waiter 得到许可，在 Waiter.Permit 里
	Refuse                               // Waiter 被提前拒绝，见 Refusal
	Expire                               // Waiter 到了期限，见 Refusal
	Send                                 // 在当前的流上依次发出 Request
	Hangup                               // 关掉当前的流，其后须有 Broken
	Store                                // 把 Share 写到盘上，其后须有 Stored
	Redirect                             // 授予者在 Leader（空即不知道，等 Wait 再随便连一个）；流由宿主关掉，其后须有 Broken
)

// HolderEffect 是一件要宿主做的事；用到哪几栏看 Kind。
type HolderEffect struct {
	Kind    HolderEffectKind
	Waiter  *Waiter
	Refusal Refusal
	Request *admissionv1.AdmitRequest
	Share   *admissionv1.Share
	Leader  string
	Wait    time.Duration
}

// Step 走一步；返回的切片到下一次 Step 为止有效。
func (h *Holder) Step(now Time, e HolderEvent) []HolderEffect {
	h.advance(now)
	if e, left := e.(Left); left {
		h.leave(now, e.Waiter)
	}
	if h.core.WaitingTotal() > 0 {
		h.expire(now) // 先于其余一切：停过一阵的节点醒来，过了期限的不可再得到许可
	}
	switch e := e.(type) {
	case Started:
		h.start(now, e.Permit)
	case Finished:
		h.finish(now, e.Permit)
	case Progressed:
		h.progress(now, e.Permit)
	case Arrived:
		h.arrive(now, e.Waiter)
	case Changed:
		h.change(now, e.Waiter, e.Candidates)
	case TargetPaused:
		h.pause(now, e)
	case Configured:
		h.configure(now, e.Spec)
	case Connected:
		h.connect(now)
	case Received:
		h.receive(now, e.Response)
	case Broken:
		h.disconnect(now, !e.Unbooked)
	case Stored:
		h.shareStored(e.Version)
	case Parting:
		h.part()
	}
	h.dispatch(now)
	h.flush(now)
	h.taken = true
	return h.effects
}

// Judge 说一个新来的请求此刻能不能在这个目标上开始；能，宿主就在同一把锁里 Started。
func (h *Holder) Judge(now Time, server, upstream string, r *Request) ruleset.Verdict {
	if h.wake != 0 && now >= h.wake {
		h.advance(now)
	}
	return h.core.Judge(now, server, upstream, r)
}

// Next 是最早要 Ticked 的时刻；0 即没有。
func (h *Holder) Next() Time {
	at := earliest(h.wake, h.core.Next())
	if h.connected {
		at = earliest(at, h.wire.next())
		at = earliest(at, h.ackDue)
		at = earliest(at, h.beatAt)
		at = earliest(at, h.heardAt.Add(deafAfter))
	}
	return at
}

func earliest(a, b Time) Time {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (h *Holder) emit(e HolderEffect) {
	h.begin()
	h.effects = append(h.effects, e)
}

// begin 若上一批已经交走，从头攒。
func (h *Holder) begin() {
	if h.taken {
		clear(h.effects)
		h.effects, h.taken = h.effects[:0], false
	}
}

// advance 让时间走到 now：租期、善后、份额、快到期的单位。
func (h *Holder) advance(now Time) {
	h.begin()
	h.now = now
	if h.wake == 0 || now < h.wake {
		return
	}
	if !h.safe && now >= h.leaseEnd {
		h.lapse(now)
	}
	for len(h.aborts) > 0 && h.aborts[0].at <= now {
		a := h.aborts.pop()
		a.server.aborting--
		a.app.aborting--
		h.release(now, a.server)
		h.release(now, a.app)
	}
	h.grow(now)
	h.goAlone(now)
	h.expireUnits(now)
	h.rest()
}

// rest 定下 advance 下一次要看的时刻。
func (h *Holder) rest() {
	h.wake = 0
	if !h.safe {
		h.wake = h.leaseEnd
	}
	if len(h.aborts) > 0 {
		h.wake = earliest(h.wake, h.aborts[0].at)
	}
	if h.safe && !h.connected {
		for _, s := range h.order {
			if s.limited && !s.grown {
				h.wake = earliest(h.wake, h.growAt(s))
			}
		}
		if !h.alone {
			h.wake = earliest(h.wake, h.rateAt)
		}
	}
	for _, r := range h.rated {
		if r.stockUntil != 0 {
			h.wake = earliest(h.wake, r.stockUntil)
		}
	}
}
