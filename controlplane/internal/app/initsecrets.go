package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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
	return writePGPass(filepath.Join(dir, "pgpass"), password)
}

// writePGPass 给 libpq 一行登录用的口令；已经写着这个口令的留着，写到一半被杀的那次留下的重写。
func writePGPass(path, password string) error {
	have, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read pgpass: %w", err)
	}
	if strings.Contains(string(have), ":"+password+"\n") {
		return nil
	}
	if err := os.WriteFile(path, []byte("*:*:*:vega:"+password+"\n"), 0o600); err != nil {
		return fmt.Errorf("write pgpass: %w", err)
	}
	return nil
}
