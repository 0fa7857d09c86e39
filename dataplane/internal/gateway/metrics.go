package gateway

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vega-gateway/vega/dataplane/internal/admit"
)

// metrics 是请求路上的指标。子指标按标签组合先取好，热路径上只做原子加；
// app、model、server 只来自配置，端点、状态与原因是封闭集合，所以标签有界。
type metrics struct {
	inFlight prometheus.Gauge
	streams  prometheus.Gauge

	requests *prometheus.CounterVec
	attempts *prometheus.CounterVec
	refusals *prometheus.CounterVec
	tokens   *prometheus.CounterVec
	ttft     *prometheus.HistogramVec
	duration *prometheus.HistogramVec

	byRequest  children[requestLabels, requestSeries]
	byAttempt  children[attemptLabels, prometheus.Counter]
	byConsumer children[consumerLabels, consumerSeries]
}

type requestLabels struct {
	endpoint, outcome string
	class             int
}

type requestSeries struct {
	count    prometheus.Counter
	duration prometheus.Observer
	ttft     prometheus.Observer
}

type attemptLabels struct {
	server string
	status int32
}

type consumerLabels struct{ app, model, server string }

type consumerSeries struct{ prompt, completion, cached, reasoning prometheus.Counter }

var latencies = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

func newMetrics(reg prometheus.Registerer, gate *admit.Gate) (*metrics, error) {
	m := &metrics{
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "vega_requests_in_flight", Help: "Client requests being served."}),
		streams:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "vega_streams_open", Help: "Event streams being relayed."}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vega_requests_total", Help: "Client requests ended, by endpoint, status class and outcome."},
			[]string{"endpoint", "class", "outcome"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vega_attempts_total", Help: "Upstream calls, by server and status (0: no answer)."},
			[]string{"server", "status"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vega_refusals_total", Help: "Requests answered with an error of the gateway, by code."},
			[]string{"code"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vega_tokens_total", Help: "Tokens reported by upstreams."},
			[]string{"app", "model", "server", "kind"}),
		ttft: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "vega_first_byte_seconds", Help: "Arrival to first upstream body byte.", Buckets: latencies},
			[]string{"endpoint"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "vega_request_seconds", Help: "Arrival to end of the answer.", Buckets: latencies},
			[]string{"endpoint"}),
	}
	if reg == nil {
		return m, nil
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.inFlight, m.streams, m.requests, m.attempts, m.refusals, m.tokens, m.ttft, m.duration,
		gauge("vega_permits_in_flight", "Permits held.", func() float64 { return float64(gate.Totals().InFlight) }),
		gauge("vega_requests_waiting", "Requests waiting for a permit.", func() float64 { return float64(gate.Totals().Waiting) }),
		gauge("vega_permits_out", "Permits issued and not yet released; zero when idle, or it is a leak.", func() float64 { return float64(gate.Leaks()) }),
	} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) attempt(server string, status int32) {
	m.byAttempt.get(attemptLabels{server, status}, func(l attemptLabels) prometheus.Counter {
		return m.attempts.WithLabelValues(l.server, strconv.Itoa(int(l.status)))
	}).Inc()
}

func (m *metrics) request(x *exchange, total time.Duration) {
	s := m.byRequest.get(requestLabels{x.ep.Name, x.outcomeName(), x.status / 100}, func(l requestLabels) requestSeries {
		return requestSeries{
			count:    m.requests.WithLabelValues(l.endpoint, strconv.Itoa(l.class)+"xx", l.outcome),
			duration: m.duration.WithLabelValues(l.endpoint),
			ttft:     m.ttft.WithLabelValues(l.endpoint),
		}
	})
	s.count.Inc()
	s.duration.Observe(total.Seconds())
	if x.firstByte > 0 {
		s.ttft.Observe(x.firstByte.Seconds())
	}
	if x.refusal != nil {
		m.refusals.WithLabelValues(x.refusal.ReasonOrCode()).Inc()
	}
	if x.attemptsMade > 0 {
		m.consumed(x)
	}
}

func (m *metrics) consumed(x *exchange) {
	l := consumerLabels{app: x.key.App.Name, server: x.server.Name}
	if x.served != nil {
		l.model = x.served.Name
	}
	s := m.byConsumer.get(l, func(l consumerLabels) consumerSeries {
		of := func(kind string) prometheus.Counter { return m.tokens.WithLabelValues(l.app, l.model, l.server, kind) }
		return consumerSeries{of("prompt"), of("completion"), of("cached"), of("reasoning")}
	})
	s.prompt.Add(float64(x.tokens.prompt))
	s.completion.Add(float64(x.tokens.completion))
	s.cached.Add(float64(x.tokens.cached))
	s.reasoning.Add(float64(x.tokens.reasoning))
}

// children 是取好的子指标：读不加锁，新的组合写时复制。零值可用。
type children[K comparable, V any] struct {
	mu    sync.Mutex
	table atomic.Pointer[map[K]V]
}

func (c *children[K, V]) get(k K, resolve func(K) V) V {
	if t := c.table.Load(); t != nil {
		if v, ok := (*t)[k]; ok {
			return v
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[K]V{}
	if t := c.table.Load(); t != nil {
		for k, v := range *t {
			next[k] = v
		}
	}
	v, ok := next[k]
	if !ok {
		v = resolve(k)
		next[k] = v
	}
	c.table.Store(&next)
	return v
}
