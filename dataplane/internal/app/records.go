package app

import (
	"context"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/dataplane/internal/journal"
	"github.com/vega-gateway/vega/dataplane/internal/segments"
)

// usageDir 是用量记录在数据目录里的名字。
const usageDir = "usage"

// segmentBytes 是一段多大：配额小的也要有十几段，好一段段地删。
func segmentBytes(quota int64) int {
	const usual = 16 << 20
	return int(min(usual, quota/16))
}

// openRecords 打开用量的记录并使它跑着：数据目录独占着就写在里面，否则只在内存里，节点照常工作。
// 停的次序由 onClose 定：交清用量之后才停落盘；目录在一切都停了之后才放开，见 close。
func (a *App) openRecords() {
	cfg := journal.Config{KnownModel: a.knowsModel, Log: a.log.Named("journal"), Trouble: a.dataDir.problem,
		KeepFor: time.Duration(a.cfg.JournalKeep), KeepBytes: a.cfg.JournalKeepBytes,
		Segments: segments.Config{Quota: a.cfg.JournalMaxBytes, SegmentBytes: segmentBytes(a.cfg.JournalMaxBytes)}}
	if a.dataDir.path != "" {
		var err error
		if a.records, err = journal.OpenDir(filepath.Join(a.dataDir.path, usageDir), cfg); err != nil {
			cfg.Trouble = err.Error()
			a.log.Error("the usage journal cannot be used: usage is kept in memory only", zap.Error(err))
		}
	}
	if a.records == nil {
		a.records = journal.New(cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	a.goOn("usage journal", func() error {
		defer close(done)
		return a.records.Run(ctx)
	})
	a.onClose(func() {
		cancel()
		<-done
		if err := a.records.Shut(); err != nil {
			a.log.Error("the usage journal did not close cleanly", zap.Error(err))
		}
	})
}
