package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// configChannel 与 NotifyConfig 里写的是同一个名字。
const configChannel = "vega_config"

// Listen 在自己的连接上等配置的通知，接上之后先以最新的版本号调用一次 fn，此后每来一个调用一次；fn 不可阻塞。
// 它只在出错或 ctx 结束时返回（总是非 nil），由调用者退避后再来；漏掉的通知靠轮询补上。
func (s *Store) Listen(ctx context.Context, fn func(revision uint64)) error {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return fmt.Errorf("connect to listen: %w", err)
	}
	defer func() {
		// ctx 多半已经结束，告别用自己的期限。
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(bye)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+configChannel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	fn(head)
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("wait for notification: %w", err)
		}
		revision, err := strconv.ParseUint(n.Payload, 10, 64)
		if err != nil {
			continue // 别人借用了这个频道；轮询不受影响
		}
		fn(revision)
	}
}
