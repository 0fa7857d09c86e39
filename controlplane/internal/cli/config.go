package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/vega-gateway/vega/proto/ops"
)

// Config 说控制面在哪里、以谁的身份去。
type Config struct {
	// AdminURL 是控制面的 HTTP 根。
	AdminURL string `env:"VEGA_ADMIN_URL" envDefault:"http://127.0.0.1:9080"`
	// Token 为空则读 DataDir 里的 admin-token。
	Token   string `env:"VEGA_ADMIN_TOKEN"`
	DataDir string `env:"VEGA_DATA_DIR" envDefault:".data/controlplane"`
}

// FromEnv 读环境并找到令牌；environ 的形状同 os.Environ。错误是一行，说明缺什么。
func FromEnv(environ []string) (Config, error) {
	cfg, err := ops.Environment[Config](environ)
	if err != nil {
		return Config{}, err
	}
	u, err := url.Parse(cfg.AdminURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Config{}, errors.New("VEGA_ADMIN_URL: must be an absolute URL such as http://127.0.0.1:9080")
	}
	cfg.AdminURL = strings.TrimRight(cfg.AdminURL, "/")
	if cfg.Token == "" {
		cfg.Token, err = storedToken(cfg.DataDir)
	}
	return cfg, err
}

// storedToken 读控制面首次启动时生成的令牌。
func storedToken(dataDir string) (string, error) {
	path := filepath.Join(dataDir, "admin-token")
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("VEGA_ADMIN_TOKEN: not set, and there is no %s; set one of VEGA_ADMIN_TOKEN, VEGA_ADMIN_TOKEN_FILE or VEGA_DATA_DIR", path)
	case err != nil:
		return "", fmt.Errorf("VEGA_ADMIN_TOKEN: not set, and the stored token cannot be read: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return "", fmt.Errorf("VEGA_ADMIN_TOKEN: not set, and %s is empty", path)
	}
	return token, nil
}
