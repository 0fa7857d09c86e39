package app

import (
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/seal"
)

// secrets 是控制面自己的三个秘密：设置里给的，或在数据目录里生成一次的。
type secrets struct {
	adminToken, joinToken string
	keyring               *seal.Keyring
}

func loadSecrets(cfg Config, log *zap.Logger) (secrets, error) {
	// 样样都由设置给出时，数据目录用不着，也就不必可写。
	if cfg.AdminToken == "" || cfg.JoinToken == "" || cfg.MasterKey == "" || cfg.DatabaseURL == "" {
		if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
			return secrets{}, fmt.Errorf("VEGA_DATA_DIR: %w", err)
		}
	}
	warn := func(message string) { log.Warn(message) }
	c := secrets{adminToken: cfg.AdminToken, joinToken: cfg.JoinToken}
	var err error
	if c.adminToken == "" {
		path := filepath.Join(cfg.DataDir, "admin-token")
		if c.adminToken, err = seal.LoadOrCreateToken(path, "vega-admin-", 32, warn); err != nil {
			return secrets{}, fmt.Errorf("admin token: %w", err)
		}
		log.Info("admin token is in a file", zap.String("path", path))
	}
	if c.joinToken == "" {
		if c.joinToken, err = seal.LoadOrCreateToken(filepath.Join(cfg.DataDir, "join-token"), "vega-join-", 32, warn); err != nil {
			return secrets{}, fmt.Errorf("join token: %w", err)
		}
	}
	key, err := masterKey(cfg, warn)
	if err != nil {
		return secrets{}, err
	}
	if c.keyring, err = seal.NewKeyring(key); err != nil {
		return secrets{}, fmt.Errorf("VEGA_MASTER_KEY: %w", err)
	}
	return c, nil
}

func masterKey(cfg Config, warn func(string)) ([]byte, error) {
	if cfg.MasterKey != "" {
		key, err := seal.ParseKey(cfg.MasterKey)
		if err != nil {
			return nil, fmt.Errorf("VEGA_MASTER_KEY: %w", err)
		}
		return key, nil
	}
	key, err := seal.LoadOrCreate(filepath.Join(cfg.DataDir, "master-key"), warn)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return key, nil
}
