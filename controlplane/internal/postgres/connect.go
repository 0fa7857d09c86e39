package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"
)

// Connect 迁移并打开数据库；它还没有起来时每秒再试，直到 ctx 结束。
// 等不来的错误（密码不对、没有这个库、迁移本身失败）立刻返回。
func Connect(ctx context.Context, url string, log *zap.Logger) (*Store, error) {
	for said := false; ; said = true {
		s, err := connect(ctx, url, log)
		if err == nil || !comesBack(err) {
			return s, err
		}
		if !said {
			log.Warn("database does not answer, waiting for it", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the database: %w", err)
		case <-time.After(time.Second):
		}
	}
}

func connect(ctx context.Context, url string, log *zap.Logger) (*Store, error) {
	steps, err := Migrate(ctx, url)
	if err != nil {
		return nil, err
	}
	if steps > 0 {
		log.Info("database migrated", zap.Int("steps", steps))
	}
	return Open(ctx, url, 0)
}

// comesBack 说这个错误是不是等一等会好：连不上，或服务器正在起来、停下、恢复。
func comesBack(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "57P01", "57P02", "57P03", "53300": // 正在停、崩了、还不能连、连接太多
			return true
		}
		return false
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, os.ErrNotExist) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
