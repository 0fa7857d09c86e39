package usage

import (
	"context"
	"errors"
	"io"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/vega-gateway/vega/controlplane/internal/usage/seeded"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Store 是用量的表。
type Store interface {
	// IngestUsage 在一个事务里锁游标、按 Plan 计入、推进游标；b 已校验。
	IngestUsage(ctx context.Context, b Batch) (Verdict, error)
	// UsageHighWater 是已计入的最大序号，没有则为 0。
	UsageHighWater(ctx context.Context, nodeID string, epoch uint64) (uint64, error)
	// UsageConservation 是天的合计、增量、已清退的与洞之和减去各游标的累计；必须是零值。
	UsageConservation(ctx context.Context) (Totals, error)
	// SampleUsage 给出随机一小时与一天在各级的和。
	SampleUsage(ctx context.Context) (Sample, error)
}

// Config 的零值可用。
type Config struct {
	// HelloTimeout 是等第一条 Hello 的上限；0 为 10 秒。
	HelloTimeout time.Duration
	// CommitTimeout 是一批入库的上限；0 为 20 秒。
	CommitTimeout time.Duration
	// CheckEvery 是多久核对一次守恒；0 为 15 秒。
	CheckEvery time.Duration
	// CompareEvery 是多久随机取一小时与一天比一次各级；0 为 1 分钟。
	CompareEvery time.Duration
}

// Deps 都必须给。
type Deps struct {
	Store   Store
	Metrics *Metrics
	Log     *zap.Logger
	// Now 是本副本的钟；nil 为 time.Now。
	Now func() time.Time
}

// Service 是 UsageService 的服务端。
type Service struct {
	usagev1.UnimplementedUsageServiceServer
	cfg      Config
	deps     Deps
	stopping chan struct{}
}

// New 造服务端，由 app 登记到 gRPC 服务器。
func New(cfg Config, deps Deps) *Service {
	if cfg.HelloTimeout == 0 {
		cfg.HelloTimeout = 10 * time.Second
	}
	if cfg.CommitTimeout == 0 {
		cfg.CommitTimeout = 20 * time.Second
	}
	if cfg.CheckEvery == 0 {
		cfg.CheckEvery = 15 * time.Second
	}
	if cfg.CompareEvery == 0 {
		cfg.CompareEvery = time.Minute
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Service{cfg: cfg, deps: deps, stopping: make(chan struct{})}
}

type reportStream = grpc.BidiStreamingServer[usagev1.ReportRequest, usagev1.ReportResponse]

// reporter 是一条流的状态；只有它的处理协程用。
type reporter struct {
	hello  *usagev1.Hello
	warned bool
	// forgotten 是节点见过的最大确认：游标退到它之前时，此后计入的、不超过它的记录都是补回来的。
	forgotten uint64
	log       *zap.Logger
}

// Report 服务一条流，逐批答复，直到节点离开、批次不合规矩、入库失败或本副本要停。
func (s *Service) Report(stream reportStream) error {
	ctx := stream.Context()
	in := receive(ctx, stream)
	r := &reporter{log: s.deps.Log}
	hello := time.NewTimer(s.cfg.HelloTimeout)
	defer hello.Stop()
	for {
		select {
		case m := <-in:
			if errors.Is(m.err, io.EOF) {
				return nil
			}
			if m.err != nil {
				return vegaerr.GRPC(m.err)
			}
			answer, err := s.handle(ctx, r, m.req)
			if err != nil {
				s.deps.Metrics.batches.WithLabelValues("failed").Inc()
				r.log.Warn("usage stream ends", zap.Error(err))
				return vegaerr.GRPC(err)
			}
			if err := stream.Send(answer); err != nil {
				return err
			}
		case <-hello.C:
			if r.hello == nil {
				return vegaerr.GRPC(vegaerr.New(vegaerr.Timeout, "", "no hello within %v", s.cfg.HelloTimeout))
			}
		case <-s.stopping:
			return vegaerr.GRPC(vegaerr.New(vegaerr.Unavailable, "", "this control plane is shutting down; connect to another"))
		case <-ctx.Done():
			return vegaerr.GRPC(ctx.Err())
		}
	}
}

func (s *Service) handle(ctx context.Context, r *reporter, req *usagev1.ReportRequest) (*usagev1.ReportResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CommitTimeout)
	defer cancel()
	switch m := req.GetMessage().(type) {
	case *usagev1.ReportRequest_Hello:
		return s.greet(ctx, r, m.Hello)
	case *usagev1.ReportRequest_Batch:
		return s.ingest(ctx, r, m.Batch)
	default:
		return nil, invalid("a report must be a hello or a batch")
	}
}

// greet 以当前的高水位回答；节点开始新的 epoch 时可以在同一条流上再打一次招呼。
func (s *Service) greet(ctx context.Context, r *reporter, h *usagev1.Hello) (*usagev1.ReportResponse, error) {
	if err := checkHello(h); err != nil {
		return nil, err
	}
	hwm, err := s.deps.Store.UsageHighWater(ctx, h.GetNodeId(), h.GetEpoch())
	if err != nil {
		return nil, err
	}
	r.hello, r.log = h, s.deps.Log.With(zap.String("node", h.GetNodeId()))
	s.noteClock(r, NewClock(s.deps.Now(), h.GetSentUnixMs()))
	r.forgotten = h.GetAckedSeq()
	if h.GetAckedSeq() > hwm {
		s.deps.Metrics.regressions.Inc()
		r.log.Error("the database knows less usage than it once acknowledged; asking the node to send it again",
			zap.Uint64("acknowledged", h.GetAckedSeq()), zap.Uint64("known", hwm), zap.Uint64("node_keeps_from", h.GetFirstSeq()))
	}
	if seeded.Broken(seeded.HelloBelieved) {
		hwm = max(hwm, h.GetAckedSeq())
	}
	return ackOf(h.GetEpoch(), hwm), nil
}

func (s *Service) ingest(ctx context.Context, r *reporter, b *usagev1.Batch) (*usagev1.ReportResponse, error) {
	if r.hello == nil {
		return nil, invalid("the first message must be a hello")
	}
	if b.GetNodeId() != r.hello.GetNodeId() || b.GetEpoch() != r.hello.GetEpoch() {
		return nil, invalid("a batch must carry the node id and epoch of the hello before it")
	}
	if err := checkBatch(b); err != nil {
		return nil, err
	}
	batch := Batch{
		NodeID: b.GetNodeId(), Epoch: b.GetEpoch(), First: b.GetFirstSeq(), Last: b.GetLastSeq(),
		Records: b.GetRecords(), Clock: NewClock(s.deps.Now(), b.GetSentUnixMs()), Volatile: !r.hello.GetDurable(),
	}
	if c := b.GetCumulative(); c != nil {
		t := totalsOf(c)
		batch.Cumulative = &t
	}
	s.noteClock(r, batch.Clock)
	began := time.Now()
	v, err := s.deps.Store.IngestUsage(ctx, batch)
	if err != nil && seeded.Broken(seeded.AckEarly) {
		return ackOf(b.GetEpoch(), b.GetLastSeq()), nil
	}
	if err != nil {
		return nil, err
	}
	s.deps.Metrics.seconds.Observe(time.Since(began).Seconds())
	s.note(r, v)
	if v.Kind == Resend {
		return &usagev1.ReportResponse{Message: &usagev1.ReportResponse_Resend{
			Resend: &usagev1.Resend{Epoch: b.GetEpoch(), FromSeq: v.HighWater + 1}}}, nil
	}
	return ackOf(b.GetEpoch(), v.HighWater), nil
}

func (s *Service) note(r *reporter, v Verdict) {
	s.deps.Metrics.count(v)
	if before := v.HighWater - uint64(v.Records); v.Kind == Applied && before < r.forgotten {
		s.deps.Metrics.healed.Add(float64(min(v.HighWater, r.forgotten) - before))
	}
	if v.Lost > 0 {
		r.log.Error("usage records were lost on the node", zap.Int64("lost", v.Lost), zap.Uint64("high_water", v.HighWater))
	}
	if v.Mismatch != nil {
		r.log.Error("DEFECT: a node's cumulative usage differs from what was counted",
			zap.Any("node_minus_counted", *v.Mismatch), zap.Uint64("high_water", v.HighWater))
	}
}

// noteClock 每条流只说一次：钟不会自己好，说一次就够。
func (s *Service) noteClock(r *reporter, c Clock) {
	if c.Offset == 0 || r.warned {
		return
	}
	r.warned = true
	r.log.Warn("the clock of a node is off; its usage is moved to the right minute", zap.Duration("offset", c.Offset))
}

func ackOf(epoch, hwm uint64) *usagev1.ReportResponse {
	return &usagev1.ReportResponse{Message: &usagev1.ReportResponse_Ack{Ack: &usagev1.Ack{Epoch: epoch, HighWater: hwm}}}
}

type incoming struct {
	req *usagev1.ReportRequest
	err error
}

// receive 读到流出错为止；错误也送出，通道不关。处理协程返回后 Recv 随流的 ctx 结束。
func receive(ctx context.Context, stream reportStream) <-chan incoming {
	out := make(chan incoming)
	go func() {
		for {
			req, err := stream.Recv()
			select {
			case out <- incoming{req, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return out
}
