package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// LoadSettings 给出设置与它的版本。
func (s *Store) LoadSettings(ctx context.Context) (usage.Settings, uint64, error) {
	row, err := s.q.LoadSettings(ctx)
	if err != nil {
		return usage.Settings{}, 0, vegaerr.Wrap(err, vegaerr.Unavailable, "", "the settings cannot be read now")
	}
	settings, err := decodeSettings(row.Document)
	return settings, uint64(row.Version), err
}

// SaveSettings 整个换掉设置，返回新的版本；没有变化则版本不动。check 以此刻的版本决定写不写，它的错误原样返回。
func (s *Store) SaveSettings(ctx context.Context, settings usage.Settings, check func(version uint64) error) (uint64, error) {
	var version uint64
	var refused error
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		row, err := q.LockSettings(ctx)
		if err != nil {
			return fmt.Errorf("lock settings: %w", err)
		}
		version = uint64(row.Version)
		if refused = check(version); refused != nil {
			return refused
		}
		old, damaged := decodeSettings(row.Document)
		if damaged == nil && old == settings {
			return nil
		}
		document, err := json.Marshal(settings)
		if err != nil {
			return fmt.Errorf("encode settings: %w", err)
		}
		saved, err := q.SaveSettings(ctx, document)
		if err != nil {
			return fmt.Errorf("save settings: %w", err)
		}
		version = uint64(saved)
		return auditSettings(ctx, q, row.Document, document)
	})
	if refused != nil {
		return version, refused
	}
	if err != nil {
		return 0, vegaerr.Wrap(err, vegaerr.Unavailable, "", "the settings cannot be written now")
	}
	return version, nil
}

// decodeSettings 比 usage.ParseSettings 宽：别的版本写下的字段略过，没有的取缺省。
func decodeSettings(document []byte) (usage.Settings, error) {
	settings := usage.DefaultSettings()
	if err := json.Unmarshal(document, &settings); err != nil {
		return usage.Settings{}, vegaerr.Wrap(err, vegaerr.Internal, "", "the stored settings are damaged")
	}
	return settings, nil
}
