package app

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// flushTimeout 是停下时等控制面确认用量的上限。
	flushTimeout = 30 * time.Second
	// settleTimeout 是切断在途的请求之后，等它们关上账的上限；只有上游还不肯停的才用得上这么久。
	settleTimeout = 5 * time.Second
)

// drain 是排空的开关：一经打开，再也关不上。
type drain struct {
	once   sync.Once
	wanted chan struct{}
}

func newDrain() *drain { return &drain{wanted: make(chan struct{})} }

// start 打开开关；可以多次调用。
func (d *drain) start(string) { d.once.Do(func() { close(d.wanted) }) }

func (d *drain) started() bool {
	select {
	case <-d.wanted:
		return true
	default:
		return false
	}
}

// shutdown 停下：未就绪已经报出去了，等负载均衡察觉，不再接新连接，等在途的做完，告诉授予者不再用许可，把用量交清，最后断开控制面。
func (a *App) shutdown() {
	defer a.close()
	delay, timeout := time.Duration(a.cfg.DrainDelay), time.Duration(a.cfg.DrainTimeout)
	a.log.Info("draining", zap.Duration("delay", delay), zap.Duration("timeout", timeout))
	time.Sleep(delay)
	a.finishRequests(timeout)
	a.sayBye()
	flush, cancel := context.WithTimeout(context.Background(), a.flushTimeout)
	defer cancel()
	if err := a.reporter.Flush(flush); err != nil {
		a.log.Error("usage could not be handed over before the end: what is on disk goes with the next start on this data directory",
			zap.Bool("on_disk", a.records.Health().Durable), zap.Error(err))
	}
	a.log.Info("stopped")
}

// finishRequests 不再接新连接，等在途的做完；到时还没完的切断，并等它们关上账：
// 切断只关连接，处理函数这时还没有返回，不等就交用量会少了它们。
func (a *App) finishRequests(timeout time.Duration) {
	grace, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := a.server.Shutdown(grace)
	if err == nil {
		err = a.accounted(grace) // HTTP/2 上客户端走了的，连接先算完了，调用也许还在收
	}
	if err == nil {
		return
	}
	a.log.Warn("requests were still running at the drain timeout and are cut", zap.Error(err), zap.Int64("running", a.records.Stats().InFlight))
	a.road.StopDrains()  // 先于切断：不然客户端一走又要收下去
	_ = a.server.Close() // 监听已经由 Shutdown 关了，只为切断连接
	settle, stop := context.WithTimeout(context.Background(), settleTimeout)
	defer stop()
	if a.accounted(settle) != nil {
		a.log.Error("cut requests did not close their accounts in time: what is on disk counts them as cut off at the next start",
			zap.Bool("on_disk", a.records.Health().Durable), zap.Int64("running", a.records.Stats().InFlight))
	}
}

// accounted 等到在途的请求都关上了账；ctx 先结束则返回它的错误。
func (a *App) accounted(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for a.records.Stats().InFlight > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
