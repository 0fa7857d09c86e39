package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
)

// 客户端走后，一次调用为什么没有收到底。
var (
	errDrainFull    = errors.New("the client left and as many calls as allowed are already read on")
	errDrainTimeout = errors.New("the client left and the time to read on is used up")
	errDrainStopped = errors.New("the client left and the node is stopping")
	errDrainOver    = errors.New("the call is over")
)

// drains 数着客户端走后仍收着的调用，按 server；零值可用。
type drains struct {
	mu      sync.Mutex
	stopped bool
	running map[string]map[*drain]struct{}
}

func (a *drains) enter(d *drain) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	mine := a.running[d.server.Name]
	switch {
	case a.stopped:
		return errDrainStopped
	case int64(len(mine)) >= d.server.DrainLimits.MaxConcurrency && !broken(bugDrainsForever):
		return errDrainFull
	}
	if mine == nil {
		mine = map[*drain]struct{}{}
		if a.running == nil {
			a.running = map[string]map[*drain]struct{}{}
		}
		a.running[d.server.Name] = mine
	}
	mine[d] = struct{}{}
	return nil
}

func (a *drains) leave(d *drain) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.running[d.server.Name], d)
	if len(a.running[d.server.Name]) == 0 {
		delete(a.running, d.server.Name) // server 改了名、删掉了，不留着它
	}
}

// StopDrains 切断所有客户端走后仍收着的调用，此后也不再有；进程退出、在途的请求已经被切断时用。
func (g *Gateway) StopDrains() {
	a := &g.drains
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	for _, mine := range a.running {
		for d := range mine {
			d.cancel(errDrainStopped)
		}
	}
}

// drain 是一次客户端走了也收下去的调用；每次调用一个，用 detach 造，以 over 结束。
type drain struct {
	all    *drains
	server *state.Server
	cancel context.CancelCauseFunc
	unhook func() bool

	mu    sync.Mutex
	state drainState
	timer *time.Timer

	// 只由读流的协程碰。
	base  int64 // 得知客户端走时流出了多少
	based bool
}

type drainState uint8

const (
	attended drainState = iota // 客户端还在
	draining
	refused // 走的那一刻就取消了
	over
)

// detach 给出这次调用的 context：客户端走了它不结束，而是开始计限。
func (x *exchange) detach(s *state.Server) context.Context {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(x.r.Context()))
	d := &drain{all: &x.gw.drains, server: s, cancel: cancel}
	d.unhook = context.AfterFunc(x.r.Context(), func() { d.left() })
	x.drain = d
	return ctx
}

// left 说客户端走了，可重复调用；返回还收不收。不收的当场取消。
func (d *drain) left() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state == attended {
		if err := d.all.enter(d); err != nil {
			d.state = refused
			d.cancel(err)
			return false
		}
		d.state = draining
		d.timer = time.AfterFunc(d.server.DrainLimits.Timeout, func() { d.cancel(errDrainTimeout) })
	}
	return d.state == draining
}

func (d *drain) running() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state == draining
}

// over 结束这次调用的计限。
func (d *drain) over() {
	d.unhook()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state == draining {
		d.timer.Stop()
		d.all.leave(d)
	}
	d.state = over
	d.cancel(errDrainOver)
}

// drains 在写不出去之后说这次调用还收不收。
func (x *exchange) drains() bool { return x.drain != nil && x.drain.left() }

// drained 说客户端走后已经收够了输出；账关了的不再限。
func (x *exchange) drained() bool {
	d := x.drain
	if d == nil || x.closed || !d.running() {
		return false
	}
	if !d.based {
		d.based, d.base = true, x.flow
	}
	return x.flow-d.base >= d.server.DrainLimits.MaxTokens
}
