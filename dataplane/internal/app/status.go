package app

import (
	"context"
	"errors"

	"go.uber.org/zap"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// HTTPAddr 与 OpsAddr 是实际监听的地址；设置里的端口为 0 时由此得知。
func (a *App) HTTPAddr() string { return a.listen.api.Addr().String() }
func (a *App) OpsAddr() string  { return a.listen.ops.Addr().String() }

// NodeID 是节点名。
func (a *App) NodeID() string { return a.node }

// ready 说明为什么还不该有新流量；nil 即就绪。控制面不在不算。
func (a *App) ready(context.Context) error {
	switch {
	case a.drain.started():
		return errors.New("draining")
	case a.holder.Load() == nil:
		return errors.New("no configuration yet")
	}
	return nil
}

// status 是每秒送给控制面的节点状态。
func (a *App) status() *configv1.NodeStatus {
	load := a.gate.Totals()
	lastError := a.subscriber.LastError()
	if lastError == "" {
		lastError = a.dataDir.problem
	}
	journal := a.records.Health()
	return &configv1.NodeStatus{
		InFlight: load.InFlight, Waiting: load.Waiting, Draining: a.drain.started(), LastError: lastError,
		Ejections: a.router.Ejections(), Unreported: a.records.Stats().Unreported,
		Journal: &configv1.JournalStatus{Durable: journal.Durable, Trouble: journal.Trouble, Bytes: journal.Bytes, Unjournalled: journal.Unjournalled},
	}
}

// knowsModel 说 name 是不是在用的配置里的公开模型名。
func (a *App) knowsModel(name string) bool {
	s := a.holder.Load()
	if s == nil {
		return false
	}
	_, known := s.Model(name)
	return known
}

func (a *App) logStart(version string) {
	api := a.listen.api
	if a.cfg.plaintext() && a.cfg.GRPCInsecure {
		a.log.Warn("gRPC to the control plane is plaintext by VEGA_GRPC_INSECURE: upstream credentials cross the network unencrypted")
	}
	a.log.Info("starting", zap.String("version", version), zap.String("node", a.node), zap.Stringer("http", api.Addr()), zap.Stringer("ops", a.listen.ops.Addr()),
		zap.Strings("controlplane", a.cfg.ControlplaneAddr), zap.Bool("plaintext_grpc", a.cfg.plaintext()),
		zap.Uint64("file_descriptors", api.Files()), zap.Int64("max_connections", api.Max()))
}
