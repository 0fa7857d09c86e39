package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vega-gateway/vega/controlplane/internal/seal"
)

// InitSecrets 在 dir 里生成一套安装要的秘密：master-key、join-token、admin-token，
// 以及给 compose 里的数据库用的 postgres-password 与 pgpass。已有的原样留着，所以可以反复跑。
func InitSecrets(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder for secrets: %w", err)
	}
	if _, err := seal.LoadOrCreate(filepath.Join(dir, "master-key")); err != nil {
		return err
	}
	for name, prefix := range map[string]string{"join-token": "vega-join-", "admin-token": "vega-admin-"} {
		if _, err := seal.LoadOrCreateToken(filepath.Join(dir, name), prefix, 32); err != nil {
			return err
		}
	}
	password, err := seal.LoadOrCreateToken(filepath.Join(dir, "postgres-password"), "", 32)
	if err != nil {
		return err
	}
	pgpass := filepath.Join(dir, "pgpass")
	if _, err := os.Stat(pgpass); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(pgpass, []byte("*:*:*:vega:"+password+"\n"), 0o600); err != nil {
		return fmt.Errorf("write pgpass: %w", err)
	}
	return nil
}
