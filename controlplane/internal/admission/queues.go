package admission

import (
	"context"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/schedule"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Queues 是某一刻当任者眼里的各个队列。
type Queues struct {
	Leader Leader
	Rows   []Queue // 按 server 的名字升序
	Apps   []App   // 按名字升序
}

// App 是一个 app 自己的限额与用量；不限的那一项没有意义。
type App struct {
	App                        string
	Limits                     schedule.Limits
	InFlight                   int64
	Quarantined                int64 // 失联节点名下隔离着的
	Free                       int64 // 可以为负：限额刚刚调低
	RequestsLevel, TokensLevel int64 // 可以为负
	Waiting                    int64 // 在等的请求，各算一次
}

// Leader 是谁在授予。
type Leader struct {
	Address string // 空即它没有公布地址
	Term    uint64
	// Learning 说它还在等各节点报到，尚不授予。
	Learning bool
}

// Queue 是一个 server 的限额、用量与队列。
type Queue struct {
	Server      string
	Limits      schedule.Limits
	InFlight    int64
	Held        int64 // 各节点持有的，含闲置
	Quarantined int64 // 失联节点名下隔离着的
	Free        int64 // 可以为负：限额刚刚调低；没有在途限额则无意义
	// RequestsLevel、TokensLevel 是速率池的余量，可以为负；不限则无意义。
	RequestsLevel, TokensLevel int64
	Waiting                    int64
	OldestWait                 time.Duration         // 等得最久的一个等了多久；负即不知道，没有在等的则无意义
	ByApp                      []schedule.AppWaiting // OldestWait 同上
	EstimatedWait              time.Duration         // 负即还说不出
	Tight                      bool
	Paused                     []Paused
}

// Paused 是被上游要求歇一会儿的目标。
type Paused struct {
	UpstreamModel string
	Until         time.Time
}

// Queues 从任一副本都能问：不是当任者就替你问当任者。没有当任者、或它够不着，为 vegaerr.Unavailable。
func (h *Host) Queues(ctx context.Context) (Queues, error) {
	if r := h.current(); r != nil {
		if answer, ok := r.queues(ctx); ok {
			return queuesOf(answer, h.cfg.Elector.Address, time.Now()), nil
		}
	}
	seat, ok := h.elector.Leader()
	switch {
	case !ok:
		return Queues{}, errNoLeader()
	case seat.Address == "":
		return Queues{}, vegaerr.New(vegaerr.Unavailable, "", "the replica that leads admission advertises no address; set its VEGA_ADVERTISE_ADDR")
	}
	answer, err := h.deps.Peers.Queues(ctx, seat.Address)
	if err != nil {
		return Queues{}, vegaerr.Wrap(err, vegaerr.Unavailable, "", "the replica that leads admission cannot be reached at %s", seat.Address)
	}
	return queuesOf(answer, seat.Address, time.Now()), nil
}

// Queues 实现 AdmissionService；只有当任者作答，从不再转给别人。
func (s *Service) Queues(ctx context.Context, _ *admissionv1.QueuesRequest) (*admissionv1.QueuesResponse, error) {
	if r := s.host.current(); r != nil {
		if answer, ok := r.queues(ctx); ok {
			return answer, nil
		}
	}
	return nil, vegaerr.GRPC(errNoLeader())
}

func errNoLeader() error {
	return vegaerr.New(vegaerr.Unavailable, "", "no replica leads admission at this moment; try again").WithRetryAfter(time.Second)
}

func (r *reign) queues(ctx context.Context) (*admissionv1.QueuesResponse, bool) {
	v, at, ok := r.view(ctx)
	if !ok {
		return nil, false
	}
	return responseOf(v, at), true
}

func responseOf(v *schedule.View, now schedule.Time) *admissionv1.QueuesResponse {
	out := &admissionv1.QueuesResponse{Term: v.Term, Learning: v.Learning}
	for _, s := range v.Servers {
		q := &admissionv1.Queue{
			Server: s.Server, MaxConcurrency: s.InFlightLimit, RequestsPerMinute: s.RequestsLimit, TokensPerMinute: s.TokensLimit,
			InFlight: s.InFlight, Held: s.Held, Quarantined: s.Quarantined, Free: s.Free,
			RequestsLevel: s.RequestsLevel, TokensLevel: s.TokensLevel, Waiting: s.Waiting, Tight: s.Tight,
			EstimatedWaitUs: -1,
		}
		if s.EstimatedWait >= 0 {
			q.EstimatedWaitUs = s.EstimatedWait.Microseconds()
		}
		for _, a := range s.ByApp {
			q.ByApp = append(q.ByApp, &admissionv1.AppWaiting{App: a.App, Waiting: a.Waiting, OldestWaitUs: new(a.OldestWait.Microseconds())})
		}
		if s.Waiting > 0 {
			q.OldestWaitUs = new(s.OldestWait.Microseconds())
		}
		for _, p := range s.Pauses {
			q.Pauses = append(q.Pauses, &admissionv1.Pause{Server: s.Server, UpstreamModel: p.Upstream, ForUs: p.Until.Sub(now).Microseconds()})
		}
		out.Queues = append(out.Queues, q)
	}
	for _, a := range v.Apps {
		out.Apps = append(out.Apps, &admissionv1.AppPools{
			App: a.App, MaxConcurrency: a.InFlightLimit, RequestsPerMinute: a.RequestsLimit, TokensPerMinute: a.TokensLimit,
			InFlight: a.InFlight, Quarantined: a.Quarantined, Free: a.Free, RequestsLevel: a.RequestsLevel, TokensLevel: a.TokensLevel, Waiting: a.Waiting,
		})
	}
	return out
}

func queuesOf(r *admissionv1.QueuesResponse, address string, now time.Time) Queues {
	out := Queues{Leader: Leader{Address: address, Term: r.GetTerm(), Learning: r.GetLearning()}}
	for _, q := range r.GetQueues() {
		row := Queue{
			Server: q.GetServer(), InFlight: q.GetInFlight(), Held: q.GetHeld(), Quarantined: q.GetQuarantined(), Free: q.GetFree(),
			Limits:        schedule.Limits{MaxConcurrency: q.GetMaxConcurrency(), RequestsPerMinute: q.GetRequestsPerMinute(), TokensPerMinute: q.GetTokensPerMinute()},
			RequestsLevel: q.GetRequestsLevel(), TokensLevel: q.GetTokensLevel(), Waiting: q.GetWaiting(), Tight: q.GetTight(),
			EstimatedWait: time.Duration(q.GetEstimatedWaitUs()) * time.Microsecond, OldestWait: waitOf(q.OldestWaitUs),
		}
		for _, a := range q.GetByApp() {
			row.ByApp = append(row.ByApp, schedule.AppWaiting{App: a.GetApp(), Waiting: a.GetWaiting(), OldestWait: waitOf(a.OldestWaitUs)})
		}
		for _, p := range q.GetPauses() {
			row.Paused = append(row.Paused, Paused{UpstreamModel: p.GetUpstreamModel(), Until: now.Add(time.Duration(p.GetForUs()) * time.Microsecond)})
		}
		out.Rows = append(out.Rows, row)
	}
	for _, a := range r.GetApps() {
		out.Apps = append(out.Apps, App{
			App: a.GetApp(), InFlight: a.GetInFlight(), Quarantined: a.GetQuarantined(), Free: a.GetFree(),
			Limits:        schedule.Limits{MaxConcurrency: a.GetMaxConcurrency(), RequestsPerMinute: a.GetRequestsPerMinute(), TokensPerMinute: a.GetTokensPerMinute()},
			RequestsLevel: a.GetRequestsLevel(), TokensLevel: a.GetTokensLevel(), Waiting: a.GetWaiting(),
		})
	}
	return out
}

// waitOf 把缺席的读成负。
func waitOf(us *int64) time.Duration {
	if us == nil {
		return -1
	}
	return time.Duration(*us) * time.Microsecond
}
