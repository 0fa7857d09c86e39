package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// lockClass 是咨询锁的第一个键，随意取定；第二个键是轮次。
const lockClass = 0x76656761

// server 是一台可以建库的 PostgreSQL，以及本进程在其上的一轮。
type server struct {
	base  *url.URL      // 指向维护库
	admin *pgxpool.Pool // 建库与删库
	alive *pgx.Conn     // 持有咨询锁，证明这一轮还活着
	run   uint32
	dbOID uint32 // 维护库的号：咨询锁只在一个库之内有效，所以库名要带上它
	next  atomic.Uint64
	stop  func() // 停掉由我们启动的服务器；可为 nil
}

// connect 在 rawURL 所指的服务器上开始新的一轮，并清扫死去的轮次。
func connect(ctx context.Context, rawURL string, stop func()) (_ *server, err error) {
	s := &server{stop: stop}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.base, err = url.Parse(rawURL); err != nil || s.base.Scheme != "postgres" && s.base.Scheme != "postgresql" {
		return nil, errors.New("the database URL is not of the form postgres://…") // 解析的原错误含口令
	}
	cfg, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		return nil, fmt.Errorf("parse database URL: %w", err)
	}
	cfg.MaxConns = 4
	if s.admin, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if s.alive, err = pgx.ConnectConfig(ctx, cfg.ConnConfig); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	if err := s.sweep(ctx); err != nil {
		return nil, fmt.Errorf("sweep databases of dead test processes: %w", err)
	}
	return s, nil
}

func (s *server) begin(ctx context.Context) error {
	if err := s.alive.QueryRow(ctx, "SELECT oid FROM pg_database WHERE datname = current_database()").Scan(&s.dbOID); err != nil {
		return fmt.Errorf("identify the maintenance database: %w", err)
	}
	for {
		var raw [4]byte
		rand.Read(raw[:])
		s.run = binary.BigEndian.Uint32(raw[:])
		var got bool
		if err := s.alive.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, $2)", int32(lockClass), int32(s.run)).Scan(&got); err != nil {
			return fmt.Errorf("lock the run: %w", err)
		}
		if got {
			return nil
		}
	}
}

func (s *server) newName() string {
	return fmt.Sprintf("vegatest_%d_%08x_%d", s.dbOID, s.run, s.next.Add(1))
}

var ownName = regexp.MustCompile(`^vegatest_(\d+)_([0-9a-f]{8})_\d+$`)

// parseName 是 newName 的逆。
func parseName(name string) (dbOID, run uint32, ok bool) {
	m := ownName.FindStringSubmatch(name)
	if m == nil {
		return 0, 0, false
	}
	oid, err1 := strconv.ParseUint(m[1], 10, 32)
	r, err2 := strconv.ParseUint(m[2], 16, 32)
	return uint32(oid), uint32(r), err1 == nil && err2 == nil
}

// sweep 删掉同一个维护库之下、咨询锁已经放开的轮次所留的库。
func (s *server) sweep(ctx context.Context) error {
	rows, err := s.alive.Query(ctx, "SELECT datname FROM pg_database WHERE datname LIKE 'vegatest\\_%' AND pg_has_role(datdba, 'MEMBER')")
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		oid, run, ok := parseName(name)
		if !ok || oid != s.dbOID || run == s.run {
			continue
		}
		if err := s.dropIfDead(ctx, name, run); err != nil {
			return err
		}
	}
	return nil
}

// dropIfDead 拿得到那一轮的锁，才说明它的进程已死；删除期间一直持有。
func (s *server) dropIfDead(ctx context.Context, name string, run uint32) error {
	var dead bool
	if err := s.alive.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, $2)", int32(lockClass), int32(run)).Scan(&dead); err != nil || !dead {
		return err
	}
	_, err := s.alive.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
	_, unlockErr := s.alive.Exec(ctx, "SELECT pg_advisory_unlock($1, $2)", int32(lockClass), int32(run))
	return errors.Join(err, unlockErr)
}

// createTemplate 建库、迁移、关上门：CREATE DATABASE 要求模板上没有任何会话。
func (s *server) createTemplate(ctx context.Context, migrate func(context.Context, string) error) (string, error) {
	name, err := s.create(ctx, "template0")
	if err != nil || migrate == nil {
		return name, err
	}
	if err := migrate(ctx, s.urlOf(name)); err != nil {
		return "", errors.Join(fmt.Errorf("migrate: %w", err), s.drop(context.WithoutCancel(ctx), name))
	}
	if _, err := s.admin.Exec(ctx, "ALTER DATABASE "+quote(name)+" WITH ALLOW_CONNECTIONS false"); err != nil {
		return "", fmt.Errorf("close template: %w", err)
	}
	if _, err := s.admin.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name); err != nil {
		return "", fmt.Errorf("disconnect from template: %w", err)
	}
	return name, nil
}

// create 克隆出一个新库。STRATEGY file_copy 直接复制文件：小库在内存盘上比逐页写 WAL 快。
func (s *server) create(ctx context.Context, from string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, cloneTimeout)
	defer cancel()
	name := s.newName()
	if _, err := s.admin.Exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(from)+" STRATEGY file_copy"); err != nil {
		return "", err
	}
	return name, nil
}

func (s *server) drop(ctx context.Context, name string) error {
	_, err := s.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
	return err
}

func (s *server) urlOf(database string) string {
	u := *s.base
	u.Path = "/" + database
	return u.String()
}

// close 结束这一轮：共用的服务器上删掉模板，自己启动的服务器整个停掉。
func (s *server) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if s.stop == nil && s.alive != nil {
		s.dropOwn(ctx)
	}
	if s.alive != nil {
		_ = s.alive.Close(ctx)
	}
	if s.admin != nil {
		s.admin.Close()
	}
	if s.stop != nil {
		s.stop()
	}
}

// dropOwn 尽力而为：没删掉的由下一轮清扫。
func (s *server) dropOwn(ctx context.Context) {
	for n := range s.next.Load() {
		_ = s.drop(ctx, fmt.Sprintf("vegatest_%d_%08x_%d", s.dbOID, s.run, n+1))
	}
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
