package app

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/dataplane/internal/report"
)

// flushTimeout 是停下时等控制面确认用量的上限。
const flushTimeout = 30 * time.Second

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

// shutdown 停下：未就绪已经报出去了，等负载均衡察觉，不再接新连接，等在途的做完，把用量交清，最后断开控制面。
func shutdown(cfg Config, log *zap.Logger, server *http.Server, reporter *report.Reporter, disconnect func()) error {
	defer disconnect()
	log.Info("draining", zap.Duration("delay", time.Duration(cfg.DrainDelay)), zap.Duration("timeout", time.Duration(cfg.DrainTimeout)))
	time.Sleep(time.Duration(cfg.DrainDelay))
	grace, cancel := context.WithTimeout(context.Background(), time.Duration(cfg.DrainTimeout))
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		log.Warn("requests were still running at the drain timeout and are cut", zap.Error(err))
		if err := server.Close(); err != nil {
			return fmt.Errorf("close listener: %w", err)
		}
	}
	flush, cancelFlush := context.WithTimeout(context.Background(), flushTimeout)
	defer cancelFlush()
	if err := reporter.Flush(flush); err != nil {
		log.Error("usage could not be handed over before the end", zap.Error(err))
	}
	log.Info("stopped")
	return nil
}
