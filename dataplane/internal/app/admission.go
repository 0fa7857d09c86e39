package app

import (
	"context"
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
	return admit.New(admit.Config{Node: a.node, Epoch: a.epoch, Version: version, Addresses: control.addrs},
		admit.Deps{Dial: control.dialOne, Stored: stored, Save: save, Log: a.log, Registerer: reg})
}

// keptShare 读出盘上的安全份额，给出存它的办法。目录写不进而盘上又没有旧的一份时只留在内存里（nil）：
// 有旧的就不行，下一次启动会捡起它，而那时别的节点已经分走了。
func (a *App) keptShare() (*admissionv1.Share, func(*admissionv1.Share) error) {
	file := share.New(a.cfg.DataDir, a.node)
	stored, err := file.Load()
	if err != nil {
		a.log.Warn("stored share is unusable, starting without one", zap.Error(err))
	}
	if a.dataDir.path == "" && !file.Exists() {
		return stored, nil
	}
	return stored, file.Save
}

// sayBye 告诉授予者手上什么也没有了，它不必再等这个节点的租期。
func (a *App) sayBye() {
	ctx, cancel := context.WithTimeout(context.Background(), byeTimeout)
	defer cancel()
	a.gate.Depart(ctx)
}
