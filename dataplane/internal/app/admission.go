package app

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/dataplane/internal/admit"
	"github.com/vega-gateway/vega/dataplane/internal/share"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// byeTimeout 是停下时等授予者收下告别的上限。
const byeTimeout = time.Second

func (a *App) newGate(control *controlplane, version string, reg prometheus.Registerer) (*admit.Gate, error) {
	stored, save := a.keptShare()
	return admit.New(admit.Config{Node: a.node, Epoch: a.epoch, Instance: instanceID(a.dataDir.path, a.log), Version: version, Addresses: control.addrs},
		admit.Deps{Dial: control.dialOne, Stored: stored, Save: save, Log: a.log, Registerer: reg})
}

var errNotHeld = errors.New("the data directory is not held by this process")

// keptShare 读出盘上的安全份额，给出存它的办法。没有独占目录就不用盘上的：别的进程也许正用着它；
// 新的只留在内存里（nil），除非盘上有旧的一份：下一次启动会捡起它，而那时别的节点已经分走了，所以一律存不下。
func (a *App) keptShare() (*admissionv1.Share, func(*admissionv1.Share) error) {
	file := share.New(a.cfg.DataDir, a.node)
	if a.dataDir.path == "" {
		if file.Exists() {
			return nil, func(*admissionv1.Share) error { return errNotHeld }
		}
		return nil, nil
	}
	stored, err := file.Load()
	if err != nil {
		a.log.Warn("stored share is unusable, starting without one", zap.Error(err))
	}
	return stored, file.Save
}

// sayBye 告诉授予者手上什么也没有了，它不必再等这个节点的租期。
func (a *App) sayBye() {
	ctx, cancel := context.WithTimeout(context.Background(), byeTimeout)
	defer cancel()
	a.gate.Depart(ctx)
}
