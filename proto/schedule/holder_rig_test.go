package schedule

import (
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// hand 是一个节点，对面的授予者由测试一帧一帧地扮演。
type hand struct {
	*Holder
	t        *testing.T
	now      Time
	ahead    time.Duration // 授予者的钟比节点的快多少
	term     uint64
	seq      uint64
	ids      uint64
	sent     []*admissionv1.AdmitRequest
	admitted []*Waiter
	refusals []HolderEffect
	expired  []HolderEffect
	redirect *HolderEffect
	stores   []*admissionv1.Share
	hangups  int
}

const handTotal, handGrace = 10 * time.Second, 500 * time.Millisecond

var handPool, handApp = Pool{Server: "s", Kind: InFlight}, Pool{App: "b", Kind: InFlight}

// handSpec 是一个至多 slots 个在途的 server，一个没有限额的 app，一个至多两个在途的。
func handSpec(revision uint64, slots int64) *Spec {
	return &Spec{Revision: revision,
		Servers: []ServerSpec{{Name: "s", Limits: Limits{MaxConcurrency: slots}, BurstPercent: 10, Total: handTotal, AbortGrace: handGrace}, {Name: "free"}},
		Apps:    []AppSpec{{Name: "a"}, {Name: "b", Limits: Limits{MaxConcurrency: 2}}}}
}

func newHand(t *testing.T, spec *Spec, share *admissionv1.Share) *hand {
	x := &hand{t: t, now: Time(time.Hour), ahead: 7 * time.Hour, term: 1}
	x.Holder = NewHolder(HolderConfig{Node: "n", Epoch: 1, Now: x.now, Stored: share})
	x.do(Configured{spec})
	return x
}

// leased 是报到过、有租期的一个节点，持有 held 个 s 的单位，可以留着 keep 个。
func leased(t *testing.T, held, keep int64) *hand {
	x := newHand(t, handSpec(1, 8), nil)
	x.open()
	x.hear(&admissionv1.AdmitResponse{Keeps: []*admissionv1.Keep{{Pool: poolMessage(handPool), Keep: keep, Units: held}}})
	x.sent = nil
	return x
}

func (x *hand) do(e HolderEvent) {
	for _, f := range append([]HolderEffect(nil), x.Step(x.now, e)...) {
		switch f.Kind {
		case Send:
			x.sent = append(x.sent, f.Request)
		case Admit:
			x.admitted = append(x.admitted, f.Waiter)
		case Refuse:
			x.refusals = append(x.refusals, f)
		case Expire:
			x.expired = append(x.expired, f)
		case Store:
			x.stores = append(x.stores, f.Share)
		case Hangup:
			x.hangups++
		case Redirect:
			x.redirect = &f
		}
	}
}

// open 连上，并得到一次租期。
func (x *hand) open() {
	x.do(Connected{})
	x.seq = 0
	x.hear(x.lease(&admissionv1.AdmitResponse{Welcome: true}))
}

// lease 在 f 里捎上此刻起算的一次租期。
func (x *hand) lease(f *admissionv1.AdmitResponse) *admissionv1.AdmitResponse {
	f.EchoUs, f.TtlUs, f.NowUs = micros(x.now), LeaseTTL.Microseconds(), micros(x.now.Add(x.ahead))
	return f
}

// number 填好一帧的信封。
func (x *hand) number(f *admissionv1.AdmitResponse) *admissionv1.AdmitResponse {
	x.seq++
	f.Seq, f.Term, f.Epoch, f.Stream = x.seq, x.term, 1, x.stream
	if f.Revision == 0 {
		f.Revision = x.spec.Revision
	}
	return f
}

func (x *hand) hear(f *admissionv1.AdmitResponse) { x.do(Received{x.number(f)}) }

// pass 让时间过去，到点的都叫到。
func (x *hand) pass(d time.Duration) {
	for end := x.now.Add(d); x.now < end; {
		next := x.Next()
		if next == 0 {
			next = end
		}
		x.now = min(max(next, x.now+1), end)
		x.do(Ticked{})
	}
}

// alive 让时间过去而租期一直续着，对面把收到的都确认了。
func (x *hand) alive(d time.Duration) {
	for end := x.now.Add(d); x.now < end; {
		x.pass(min(end.Sub(x.now), time.Second))
		f := x.lease(&admissionv1.AdmitResponse{Term: x.term, Epoch: 1, Stream: x.stream})
		f.Ack = x.wire.sent
		x.do(Received{f})
	}
}

func (x *hand) can(app string) bool {
	return x.Judge(x.now, "s", "m", &Request{App: app, Class: Standard, Weight: 1}) == 0
}

// run 在本地开始一个请求。
func (x *hand) run(app string) *Permit {
	x.t.Helper()
	if !x.can(app) {
		x.t.Fatalf("%s cannot start at s: %+v", app, x.State())
	}
	p := &Permit{Request: Request{App: app, Class: Standard, Weight: 1}, Server: "s", Upstream: "m"}
	x.do(Started{p})
	return p
}

// wait 让一个请求等 s。
func (x *hand) wait(app string, cost int64) *Waiter {
	x.ids++
	w := &Waiter{Request: Request{App: app, Class: Standard, Weight: 1, Cost: Cost{Prompt: cost}}, ID: x.ids, Arrived: x.now,
		Deadline: x.now.Add(30 * time.Second), Candidates: to("s"), Permit: &Permit{}}
	x.do(Arrived{w})
	return w
}

// grant 是授予者给 w 的一组单位，在授予者的钟上 age 之前给的。
func (x *hand) grant(w *Waiter, age time.Duration, units ...Units) *admissionv1.AdmitResponse {
	at := micros(x.now.Add(x.ahead - age))
	g := &admissionv1.Grant{WaiterId: w.ID, AtUs: at, Target: &admissionv1.Candidate{Server: "s", UpstreamModel: "m", Weight: 1}}
	for _, u := range units {
		g.Amounts = append(g.Amounts, &admissionv1.Amount{Pool: poolMessage(u.Pool), Units: u.N, GrantedUs: at})
	}
	return &admissionv1.AdmitResponse{Grants: []*admissionv1.Grant{g}}
}

// pool 是一个在途池在节点这边的账。
func (x *hand) pool(p Pool) PoolState {
	for _, s := range x.State().Pools {
		if s.Pool == p {
			return s
		}
	}
	return PoolState{}
}

// returned 是至今归还的 p 的单位，重发的只算一次。
func (x *hand) returned(p Pool) (n int64) {
	seen := map[uint64]bool{}
	for _, f := range x.sent {
		if f.GetSeq() == 0 || seen[f.GetSeq()] {
			continue
		}
		seen[f.GetSeq()] = true
		for _, a := range f.GetReturns() {
			if poolOf(a.GetPool()) == p {
				n += a.GetUnits()
			}
		}
	}
	return n
}

func (x *hand) last() *admissionv1.AdmitRequest { return x.sent[len(x.sent)-1] }

func shareOf(version uint64, limit int64, units ...Units) *admissionv1.Share {
	s := &admissionv1.Share{Version: version}
	for _, u := range units {
		s.Amounts = append(s.Amounts, &admissionv1.Amount{Pool: poolMessage(u.Pool), Units: u.N, Limit: limit})
	}
	return s
}
