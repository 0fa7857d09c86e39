package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// ensurePartitions 建好 buckets 所在的分区，已有的不动。
func ensurePartitions(ctx context.Context, tx pgx.Tx, level usage.Level, buckets []time.Time) error {
	wanted := make(map[string]usage.Partition)
	var names []string
	for _, b := range buckets {
		p := level.PartitionOf(b)
		if _, ok := wanted[p.Name]; !ok {
			wanted[p.Name] = p
			names = append(names, p.Name)
		}
	}
	rows, err := tx.Query(ctx, "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL ORDER BY name", names)
	if err != nil {
		return fmt.Errorf("look for partitions: %w", err)
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for partitions: %w", err)
	}
	for _, name := range missing {
		if err := createPartition(ctx, tx, wanted[name]); err != nil {
			return fmt.Errorf("create partition %s: %w", name, err)
		}
	}
	return nil
}

// createPartition 先建表再接上：接上只锁住别的结构变更，不像 PARTITION OF 那样要等完正在读这张表的查询。
// fillfactor 留出地方，让每秒都在改的行就地更新；请求只追加，不必留。先落在默认分区里的请求在接上之前搬过来。
func createPartition(ctx context.Context, tx pgx.Tx, p usage.Partition) error {
	if p.Table == usage.LevelRequest.Table() {
		return createRequestPartition(ctx, tx, p)
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(
		"CREATE TABLE %[1]s (LIKE %[2]s INCLUDING ALL) WITH (fillfactor = 70); ALTER TABLE %[2]s ATTACH PARTITION %[1]s FOR VALUES FROM ('%[3]s') TO ('%[4]s')",
		p.Name, p.Table, p.From.Format(time.RFC3339), p.To.Format(time.RFC3339)))
	return err
}

func createRequestPartition(ctx context.Context, tx pgx.Tx, p usage.Partition) error {
	_, err := tx.Exec(ctx, fmt.Sprintf(
		`LOCK TABLE usage_request_default IN ACCESS EXCLUSIVE MODE;
CREATE TABLE %[1]s (LIKE usage_request INCLUDING ALL);
WITH moved AS (DELETE FROM usage_request_default WHERE ended_at >= '%[2]s' AND ended_at < '%[3]s' RETURNING *) INSERT INTO %[1]s SELECT * FROM moved;
ALTER TABLE usage_request ATTACH PARTITION %[1]s FOR VALUES FROM ('%[2]s') TO ('%[3]s')`,
		p.Name, p.From.Format(time.RFC3339), p.To.Format(time.RFC3339)))
	return err
}
