package adminapi

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/live"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// EventsConfig 的零值可用。
type EventsConfig struct {
	// Heartbeat 是没有新的时多久来一行注释；0 为 10 秒。
	Heartbeat time.Duration
	// Recheck 是多久看一次会话还在不在；0 为 5 秒。
	Recheck time.Duration
	// WriteTimeout 是写不动多久就断开；0 为 10 秒。
	WriteTimeout time.Duration
}

func (e EventsConfig) orDefault() EventsConfig {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&e.Heartbeat, 10 * time.Second}, {&e.Recheck, 5 * time.Second}, {&e.WriteTimeout, 10 * time.Second}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	return e
}

type fleetState struct {
	HeadRevision uint64 `json:"head_revision"`
	Nodes        []node `json:"nodes"`
}

// StreamEvents 实现 GET /events。
func (a *api) StreamEvents(c echo.Context, p openapi.StreamEventsParams) error {
	if err := only(c, "topics", "server"); err != nil {
		return err
	}
	topics, err := topicsOf(p)
	if err != nil {
		return err
	}
	sub, err := a.deps.Live.Subscribe(watcher(principal(c)), topics)
	if err != nil {
		return err
	}
	defer sub.Close()
	// 期限是给一问一答的；流到客户端走了、会话没了、控制面停下为止。
	ctx, _ := c.Get(wholeKey).(context.Context)
	c.Set(streamKey, true)
	s := newStream(c, a.cfg.Events.WriteTimeout)
	if s.begin() != nil {
		return nil // 写不出去说明对方已走，下同
	}
	a.relay(ctx, c, s, sub, deref(p.Server))
	return nil
}

// watcher 是事件流算在谁头上：人与属于他的令牌是同一个，没有主人的令牌各是各的。
func watcher(p identity.Principal) string {
	if p.OperatorID != "" {
		return p.OperatorID
	}
	return p.Name
}

func topicsOf(p openapi.StreamEventsParams) ([]live.Topic, error) {
	if p.Topics == nil {
		return []live.Topic{live.TopicRevision, live.TopicFleet}, nil
	}
	var out []live.Topic
	for _, t := range *p.Topics {
		if !slices.Contains(live.Topics(), live.Topic(t)) {
			return nil, badParam("topics", fmt.Sprintf("%.40q is not one of revision, fleet, overview, queues", string(t)))
		}
		out = append(out, live.Topic(t))
	}
	return out, nil
}

// relay 送到有一头结束为止。
func (a *api) relay(ctx context.Context, c echo.Context, s *stream, sub *live.Subscription, server string) {
	beat, recheck := time.NewTicker(a.cfg.Events.Heartbeat), time.NewTicker(a.cfg.Events.Recheck)
	defer beat.Stop()
	defer recheck.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-sub.Done():
			return
		case <-sub.Ready():
			if err = a.send(s, sub.Take(), server); err == nil {
				err = sendFrozen(s, sub)
			}
		case <-beat.C:
			err = s.comment()
		case <-recheck.C:
			if gone := a.stillThere(ctx, c); gone != nil {
				_ = s.event("end", a.farewell(c, gone))
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (a *api) send(s *stream, events []*live.Event, server string) error {
	for _, e := range events {
		data, err := encodeEvent(e, server)
		if err != nil {
			return err
		}
		if err := s.event(string(e.Topic), data); err != nil {
			return err
		}
	}
	return nil
}

// frozenTopics 是 frozen 事件的形状：哪些主题停在上一份；空的即都是此刻的。
type frozenTopics struct {
	Topics []live.Topic `json:"topics"`
}

func sendFrozen(s *stream, sub *live.Subscription) error {
	topics, changed := sub.Frozen()
	if !changed {
		return nil
	}
	data, err := json.Marshal(frozenTopics{orEmpty(topics)})
	if err != nil {
		return err
	}
	return s.event("frozen", data)
}

// encodeEvent 编出一份；只要一个服务器的队列另编，别的所有人共用。
func encodeEvent(e *live.Event, server string) ([]byte, error) {
	if q, ok := e.Value.(admission.Queues); ok && server != "" {
		q.Rows = slices.DeleteFunc(slices.Clone(q.Rows), func(r admission.Queue) bool { return r.Server != server })
		return encodeTopic(q)
	}
	return e.Encode(encodeTopic)
}

// encodeTopic 是各主题的形状，与同名的 GET 一样。
func encodeTopic(value any) ([]byte, error) {
	switch v := value.(type) {
	case catalog.Revision:
		return json.Marshal(v)
	case live.Fleet:
		return json.Marshal(fleetState{HeadRevision: v.Head, Nodes: nodeRows(v.Nodes)})
	case admission.Queues:
		return json.Marshal(queueRows(v))
	case *live.Overview:
		return json.Marshal(overviewOf(v))
	}
	return nil, fmt.Errorf("no shape for %T", value)
}

// stillThere 说行事者不再够格的原因；数据库够不着时不知道，就不说。引导令牌没有可看的。
func (a *api) stillThere(ctx context.Context, c echo.Context) error {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p, err := principal(c), error(nil)
	r := c.Request()
	switch cookie := sessionCookie(c); {
	case p.SessionID != "":
		p, err = a.deps.Identity.PeekSession(ctx, cookie)
	case r.Header.Get(echo.HeaderAuthorization) != "" && !a.token.matches(bearer(r.Header.Get(echo.HeaderAuthorization))):
		p, err = a.deps.Identity.PeekToken(ctx, bearer(r.Header.Get(echo.HeaderAuthorization)))
	}
	if err == nil {
		return p.May(streamRule().need)
	}
	if vegaerr.CodeOf(err) != vegaerr.Unauthenticated {
		return nil
	}
	return err
}

// farewell 是 end 事件的问题文档。
func (a *api) farewell(c echo.Context, why error) []byte {
	_, p := a.describe(why, c)
	data, _ := json.Marshal(p.titled(requestID(c)))
	return data
}
