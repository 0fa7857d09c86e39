package schedule

import (
	"slices"
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// desk 是一个授予者，对面的节点由测试一帧一帧地扮演。
type desk struct {
	*Grantor
	t       *testing.T
	now     Time
	peers   map[string]*peer
	conns   uint64
	drops   []string
	saved   map[string]Member // 成员表
	deleted []string
	hold    bool // 成员表写得慢：攒着不答
	held    []uint64
	resigns int
}

// peer 是一个节点这一边的流。
type peer struct {
	name          string
	conn          uint64
	epoch, stream uint64
	seq           uint64
	shareVersion  uint64
	got           []*admissionv1.AdmitResponse
}

func newDesk(t *testing.T, spec *Spec, cfg GrantorConfig) *desk {
	d := &desk{t: t, now: Time(time.Hour), peers: map[string]*peer{}, saved: map[string]Member{}}
	cfg.Now = d.now
	if cfg.Term == 0 {
		cfg.Term = 1
	}
	d.Grantor = NewGrantor(cfg)
	for _, m := range cfg.Members {
		d.saved[m.Node] = m
	}
	d.do(Reconfigured{spec})
	return d
}

func (d *desk) do(e GrantorEvent) {
	for _, x := range append([]GrantorEffect(nil), d.Step(d.now, e)...) {
		switch x.Kind {
		case Reply:
			for _, p := range d.peers {
				if p.conn == x.Conn && (x.Response.GetSeq() == 0 || !slices.Contains(p.got, x.Response)) { // 重发的是同一帧
					p.got = append(p.got, x.Response)
				}
			}
		case Drop:
			d.drops = append(d.drops, x.Reason)
		case Save:
			for _, m := range x.Members {
				d.saved[m.Node] = m
			}
			if d.hold {
				d.held = append(d.held, x.ID)
			} else {
				d.do(Saved{x.ID})
			}
		case Delete:
			delete(d.saved, x.Node)
			d.deleted = append(d.deleted, x.Node)
		case Resign:
			d.resigns++
		}
	}
}

// join 让一个节点连上报到，手上有 holdings。
func (d *desk) join(name string, epoch uint64, holdings ...Units) *peer {
	p := d.peers[name]
	if p == nil || p.epoch != epoch {
		p = &peer{name: name, epoch: epoch}
		d.peers[name] = p
	}
	d.conns++
	p.conn, p.seq, p.got = d.conns, 0, nil
	p.stream++
	f := &admissionv1.AdmitRequest{Hello: &admissionv1.Hello{Instance: p.name}, ShareVersion: p.shareVersion}
	for _, u := range holdings {
		f.Hello.Holdings = append(f.Hello.Holdings, &admissionv1.Amount{Pool: poolMessage(u.Pool), Units: u.N})
	}
	d.hear(p, f)
	return p
}

// hear 给一帧编号，交给授予者。
func (d *desk) hear(p *peer, f *admissionv1.AdmitRequest) { d.do(Heard{p.conn, d.number(p, f)}) }

func (d *desk) number(p *peer, f *admissionv1.AdmitRequest) *admissionv1.AdmitRequest {
	p.seq++
	f.Seq = p.seq
	return d.seal(p, f)
}

// seal 填好信封，确认收到的一切。
func (d *desk) seal(p *peer, f *admissionv1.AdmitRequest) *admissionv1.AdmitRequest {
	f.NodeId, f.Epoch, f.Stream, f.SentUs = p.name, p.epoch, p.stream, micros(d.now)
	if m := d.members[p.name]; m != nil {
		f.Ack = m.out.sent
	}
	if d.spec != nil && f.Revision == 0 {
		f.Revision = d.spec.Revision
	}
	return f
}

// beat 是各节点的一次心跳。
func (d *desk) beat(list ...*peer) {
	for _, p := range list {
		d.do(Heard{p.conn, d.seal(p, &admissionv1.AdmitRequest{})})
	}
}

// pass 让时间过去，alive 的各节点一直有声音。
func (d *desk) pass(t time.Duration, alive ...*peer) {
	for end := d.now.Add(t); d.now < end; {
		d.beat(alive...)
		for stop := min(end, d.now.Add(heartbeat)); d.now < stop; {
			next := d.Next()
			if next == 0 {
				next = stop
			}
			d.now = min(max(next, d.now+1), stop)
			d.do(Tick{})
		}
	}
	d.beat(alive...)
}

// ask 让 p 的一个请求等 s。
func (d *desk) ask(p *peer, id uint64, app string, cost int64) {
	d.hear(p, &admissionv1.AdmitRequest{Waiters: []*admissionv1.Descriptor{{Id: id, App: app, Class: int32(Standard), Weight: 1, PromptTokens: cost,
		Candidates: []*admissionv1.Candidate{{Server: "s", UpstreamModel: "m", Weight: 1}}}}})
}

// giveBack 归还 n 个在途的单位。
func (d *desk) giveBack(p *peer, pool Pool, n int64) *admissionv1.AdmitRequest {
	f := d.number(p, &admissionv1.AdmitRequest{Returns: []*admissionv1.Amount{{Pool: poolMessage(pool), Units: n}}})
	d.do(Heard{p.conn, f})
	return f
}

// granted 是 p 至今得到许可的请求。
func (p *peer) granted() (ids []uint64) {
	for _, f := range p.got {
		for _, g := range f.GetGrants() {
			ids = append(ids, g.GetWaiterId())
		}
	}
	return ids
}

// kept 是 p 在 pool 里最近被定下可以留多少，与至今随手给了多少。
func (p *peer) kept(pool Pool) (keep, units int64) {
	for _, f := range p.got {
		for _, k := range f.GetKeeps() {
			if poolOf(k.GetPool()) == pool {
				keep, units = k.GetKeep(), units+k.GetUnits()
			}
		}
	}
	return keep, units
}

func (p *peer) share() (s *admissionv1.Share) {
	for _, f := range p.got {
		if f.GetShare() != nil {
			s = f.GetShare()
		}
	}
	return s
}

func sharesOf(s *admissionv1.Share) map[Pool]int64 {
	m := map[Pool]int64{}
	for _, a := range s.GetAmounts() {
		m[poolOf(a.GetPool())] = a.GetUnits()
	}
	return m
}

// audit 核对账：空闲加持有加隔离即限额。
func (d *desk) audit(p Pool) PoolAudit {
	d.t.Helper()
	a := d.Audit(d.now, p)
	if a.Free+a.Held+a.Quarantined != a.Limit {
		d.t.Fatalf("%+v does not add up", a)
	}
	return a
}

// release 让攒着的都写好，从此当场写好。
func (d *desk) release() {
	ids := d.held
	d.hold, d.held = false, nil
	for _, id := range ids {
		d.do(Saved{id})
	}
}
