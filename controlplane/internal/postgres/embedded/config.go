package embedded

import (
	"errors"
	"fmt"
	"path/filepath"

	"go.uber.org/zap"
)

const (
	roleName     = "vega"
	databaseName = "vega"
	port         = "5432" // 只是套接字文件名的后缀
	minMajor     = 15     // CREATE DATABASE … STRATEGY 与 MERGE 从这一版起
)

var (
	// ErrNoBinaries 表示机器上没有可用的 PostgreSQL 服务器程序。
	ErrNoBinaries = errors.New("no PostgreSQL server binaries found")
	// ErrVersion 表示数据簇由另一个大版本建成，而机器上没有那个版本的程序。
	ErrVersion = errors.New("incompatible PostgreSQL data directory")
	// ErrLocked 表示另一个活着的进程正在使用这个 DataDir。
	ErrLocked = errors.New("data directory is in use by another process")
)

// Config 说明在哪里、用什么启动服务器。
type Config struct {
	// DataDir 是存放一切的目录，不存在就以 0700 建立；必填。
	DataDir string
	// Durable 为真时已提交的事务经得起断电；零值关掉 fsync，只适合测试。
	Durable bool
	// BinDir 是 initdb 与 postgres 所在的目录；零值按 PATH、发行版目录（新版本在前）、pg_config、Homebrew 的次序寻找。
	BinDir string
	// Logger 收服务器的日志；零值不记。
	Logger *zap.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.DataDir == "" {
		return c, errors.New("embedded PostgreSQL: DataDir is empty")
	}
	abs, err := filepath.Abs(c.DataDir)
	if err != nil {
		return c, fmt.Errorf("resolve data directory: %w", err)
	}
	c.DataDir = abs
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	return c, nil
}

// settings 给出 postgres 的 -c 参数。
func (c Config) settings() []string {
	set := []string{
		"listen_addresses=", "port=" + port, "unix_socket_permissions=0700",
		"timezone=UTC", "log_timezone=UTC", "log_line_prefix=", "logging_collector=off", "log_destination=stderr",
	}
	onOff := "off"
	if c.Durable {
		onOff = "on"
	} else {
		// wal_level 降到 minimal 时必须一并关掉 walsender。
		set = append(set, "max_connections=300", "autovacuum=off", "wal_level=minimal", "max_wal_senders=0")
	}
	return append(set, "fsync="+onOff, "synchronous_commit="+onOff, "full_page_writes="+onOff)
}
