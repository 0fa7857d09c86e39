package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/identity/oidc"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// SignIn 是登录的设置；OIDC 的各项只在 OIDCIssuer 有值时看。
type SignIn struct {
	SessionIdle     time.Duration `env:"VEGA_SESSION_IDLE" envDefault:"30m"`
	SessionLifetime time.Duration `env:"VEGA_SESSION_LIFETIME" envDefault:"12h"`
	// InsecureHTTP 许会话以明文走出本机。
	InsecureHTTP bool `env:"VEGA_INSECURE_HTTP"`
	// TrustedProxies 是逗号分隔的地址与网段，只信它们的 X-Forwarded-*。
	TrustedProxies string `env:"VEGA_TRUSTED_PROXIES"`
	// ConsoleURL 是浏览器地址栏里的根。
	ConsoleURL string `env:"VEGA_CONSOLE_URL"`

	OIDCIssuer       string   `env:"VEGA_OIDC_ISSUER"`
	OIDCClientID     string   `env:"VEGA_OIDC_CLIENT_ID"`
	OIDCClientSecret string   `env:"VEGA_OIDC_CLIENT_SECRET"`
	OIDCLabel        string   `env:"VEGA_OIDC_LABEL" envDefault:"OIDC"`
	OIDCScopes       []string `env:"VEGA_OIDC_SCOPES" envDefault:"openid,profile,email"`
	OIDCNameClaim    string   `env:"VEGA_OIDC_NAME_CLAIM"`
	OIDCRoleClaim    string   `env:"VEGA_OIDC_ROLE_CLAIM" envDefault:"groups"`
	OIDCAdmins       []string `env:"VEGA_OIDC_ADMINS"`
	OIDCOperators    []string `env:"VEGA_OIDC_OPERATORS"`
	OIDCViewers      []string `env:"VEGA_OIDC_VIEWERS"`
}

func (s *SignIn) check() error {
	if s.SessionIdle < time.Minute && s.SessionIdle != 0 {
		return errors.New("VEGA_SESSION_IDLE: must be at least 1m")
	}
	if s.SessionLifetime < time.Minute && s.SessionLifetime != 0 {
		return errors.New("VEGA_SESSION_LIFETIME: must be at least 1m")
	}
	if _, err := identity.ParseProxies(s.TrustedProxies); err != nil {
		return fmt.Errorf("VEGA_TRUSTED_PROXIES: %w", err)
	}
	if s.ConsoleURL != "" && !isOrigin(s.ConsoleURL) {
		return errors.New("VEGA_CONSOLE_URL: must be scheme and host only, such as https://vega.example.com")
	}
	return s.checkOIDC()
}

func (s *SignIn) checkOIDC() error {
	if s.OIDCIssuer == "" {
		return nil
	}
	u, err := url.Parse(s.OIDCIssuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname()+":0")):
		return errors.New("VEGA_OIDC_ISSUER: must be an https URL such as https://sso.example.com/realms/main")
	case s.OIDCClientID == "":
		return errors.New("VEGA_OIDC_CLIENT_ID: must be set when VEGA_OIDC_ISSUER is")
	case s.ConsoleURL == "":
		return errors.New("VEGA_CONSOLE_URL: must be set when VEGA_OIDC_ISSUER is; the provider sends browsers back to it")
	case len(s.OIDCAdmins)+len(s.OIDCOperators)+len(s.OIDCViewers) == 0:
		return errors.New("VEGA_OIDC_ADMINS: set it, VEGA_OIDC_OPERATORS or VEGA_OIDC_VIEWERS to values of the claim VEGA_OIDC_ROLE_CLAIM; otherwise nobody can sign in")
	}
	return nil
}

func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && text == u.Scheme+"://"+u.Host
}

// provider 造 OIDC 的提供方；没有设则 nil。
func (s *SignIn) provider() (adminapi.OIDC, error) {
	if s.OIDCIssuer == "" {
		return nil, nil
	}
	p, err := oidc.New(oidc.Config{
		Issuer: s.OIDCIssuer, ClientID: s.OIDCClientID, Secret: catalog.NewSecret(s.OIDCClientSecret), Label: s.OIDCLabel,
		RedirectURL: s.ConsoleURL + "/api/v1/auth/oidc/callback", Scopes: trimmed(s.OIDCScopes), NameClaim: s.OIDCNameClaim,
		Roles: oidc.Mapping{Claim: s.OIDCRoleClaim, Admin: trimmed(s.OIDCAdmins), Operator: trimmed(s.OIDCOperators), Viewer: trimmed(s.OIDCViewers)},
	}, nil)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func trimmed(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// firstPasswordFile 是头一个管理员的一次性口令；换掉它之后，下次启动时删去。
const firstPasswordFile = "admin-password"

// ensureFirst 在还没有操作员时建立 admin，把一次性口令写进数据目录、打到标准输出。文件先于操作员写下：
// 中途被杀，口令也不会没有人知道。日志里只有文件的路径。
func ensureFirst(ctx context.Context, cfg Config, people *identity.Service, log *zap.Logger) error {
	path := filepath.Join(cfg.DataDir, firstPasswordFile)
	have, err := people.Operators(ctx)
	if err != nil {
		return fmt.Errorf("look for operators: %w", err)
	}
	if len(have) > 0 {
		return forgetFirst(ctx, path, people, log)
	}
	password := identity.NewOneTimePassword()
	kept := keepFirst(cfg, path, password.Reveal(), log)
	made, err := people.EnsureFirst(ctx, password)
	if err != nil {
		return fmt.Errorf("make the first operator: %w", err)
	}
	if !made { // 另一个副本先建好了
		_ = os.Remove(path)
		return nil
	}
	fmt.Fprintf(os.Stdout, "first start: sign in to the console as %s with the one-time password %s (it must be changed at once)\n", identity.FirstName, password.Reveal())
	fields := []zap.Field{zap.String("name", identity.FirstName)}
	if kept {
		fields = append(fields, zap.String("path", path))
	}
	log.Info("first operator made; the one-time password is on standard output", fields...)
	return nil
}

// keepFirst 写下口令。样样都由设置给出时数据目录也许不可写：那时只有标准输出。
func keepFirst(cfg Config, path, password string, log *zap.Logger) bool {
	err := os.MkdirAll(cfg.DataDir, 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(password+"\n"), 0o600)
	}
	if err != nil {
		log.Info("the one-time password cannot be kept in the data directory", zap.Error(err))
	}
	return err == nil
}

// forgetFirst 删去已经没有用的口令文件。删不去（目录不可写）只记一行：它已经打不开什么，不值得因此起不来。
func forgetFirst(ctx context.Context, path string, people *identity.Service, log *zap.Logger) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	first, err := people.OperatorNamed(ctx, identity.FirstName)
	if err != nil && vegaerr.CodeOf(err) != vegaerr.NotFound {
		return err
	}
	if err == nil && first.MustChangePassword && first.Version == 1 { // 重设过的也是一次性口令，但不是文件里的那一个
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the file of the first one-time password is of no more use and cannot be removed; remove it yourself", zap.Error(err))
	}
	return nil
}
