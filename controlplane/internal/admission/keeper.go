package admission

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/proto/schedule"
)

// Grantor 或写协程结束一个任期的理由。
var (
	errGreaterTerm = errors.New("a node has seen a greater term")
	errNotOurs     = errors.New("the term is over in the database")
	errUnread      = errors.New("could not read the members in time")
	errUnrecorded  = errors.New("could not record in time which nodes are heard")
)

// keep 起任期的几个后台协程；返回的函数等它们在 ctx 结束后退出。
func (r *reign) keep(ctx context.Context) (wait func()) {
	var wg sync.WaitGroup
	wg.Go(func() { r.saver.run(ctx) })
	wg.Go(func() { r.check(ctx) })
	wg.Go(func() { r.announce(ctx) })
	return wg.Wait
}

// check 每秒把听得见的节点记进表里，并把运维要忘掉的告诉 Grantor。久记不下就结束任期：
// 下一任只能信表里的，表旧了它就会以为还活着的节点早就不在。
func (r *reign) check(ctx context.Context) {
	var quiet repeatLog
	done := time.Now()
	for sleep(ctx, r.host.cfg.CheckEvery) {
		err := r.touch(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			quiet.over()
			done = time.Now()
			continue
		case errors.Is(err, errNotOurs):
			r.end(err)
			return
		case quiet.due(time.Now()):
			r.log.Warn("cannot touch the members", zap.Error(err))
		}
		if time.Since(done) >= schedule.RecordWithin {
			r.end(errUnrecorded)
			return
		}
	}
}

// touch 记一次。
func (r *reign) touch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, schedule.RecordWithin)
	defer cancel()
	at := r.host.now()
	connected, ok := ask(ctx, r, r.audible)
	if !ok {
		return context.Cause(ctx)
	}
	got, err := r.host.deps.Store.TouchMembers(ctx, r.lease.Title, connected)
	switch {
	case err != nil:
		return err
	case !got.Held:
		return errNotOurs
	}
	r.post(func() { r.step(schedule.Touched{At: at, Nodes: connected, Missing: got.Missing}) })
	r.forget(got.Forgotten)
	return nil
}

// forget 把要忘掉的交给 Grantor，由它说删不删：租期还没有过的留到下一次检查。
func (r *reign) forget(nodes []string) {
	for _, node := range nodes {
		r.post(func() {
			if r.connected(node) {
				return // 刚刚连上：下一次检查会作废那个记号
			}
			r.step(schedule.Forgotten{Node: node})
		})
	}
}

func (r *reign) connected(node string) bool {
	for _, c := range r.conns {
		if c.node == node {
			return true
		}
	}
	return false
}

// announce 等学习结束，记下用了多久。看一眼要走遍全机队，因此看一眼用了多久，就歇它的十倍。
func (r *reign) announce(ctx context.Context) {
	for began := time.Now(); ; {
		asked := time.Now()
		v, _, ok := r.view(ctx)
		if !ok {
			return
		}
		if !v.Learning {
			r.log.Info("learning finished", zap.Duration("took", time.Since(began)), zap.Int("nodes", len(v.Nodes)))
			return
		}
		if !sleep(ctx, max(50*time.Millisecond, 10*time.Since(asked))) {
			return
		}
	}
}
