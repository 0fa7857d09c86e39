package app_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/controlplane/internal/app"
)

// sound 是与真数据库一起用的一套合格的设置。
func sound() map[string]string {
	return map[string]string{
		"VEGA_DATABASE_URL": "postgres://vega:pw@db:5432/vega", "VEGA_MASTER_KEY": strings.Repeat("ab", 32),
		"VEGA_JOIN_TOKEN": "join-token-0123456789", "VEGA_GRPC_ADDR": "127.0.0.1:9090",
	}
}

func environ(vars map[string]string) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		list = append(list, k+"="+vars[k])
	}
	return list
}

func TestFromEnv_NamesTheVariableThatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		set   map[string]string
		names string
	}{
		"address":              {map[string]string{"VEGA_HTTP_ADDR": "9080"}, "VEGA_HTTP_ADDR"},
		"two addresses":        {map[string]string{"VEGA_HTTP_ADDR": "9080", "VEGA_OPS_ADDR": "9081"}, "VEGA_HTTP_ADDR"},
		"database":             {map[string]string{"VEGA_DATABASE_URL": "mysql://x/y"}, "VEGA_DATABASE_URL"},
		"short admin token":    {map[string]string{"VEGA_ADMIN_TOKEN": "short"}, "VEGA_ADMIN_TOKEN"},
		"short join token":     {map[string]string{"VEGA_JOIN_TOKEN": "short"}, "VEGA_JOIN_TOKEN"},
		"no join token":        {map[string]string{"VEGA_JOIN_TOKEN": ""}, "VEGA_JOIN_TOKEN"},
		"no master key":        {map[string]string{"VEGA_MASTER_KEY": ""}, "VEGA_MASTER_KEY"},
		"public URL":           {map[string]string{"VEGA_PUBLIC_API_URL": "llm.example.com"}, "VEGA_PUBLIC_API_URL"},
		"public URL scheme":    {map[string]string{"VEGA_PUBLIC_API_URL": "ftp://llm.example.com"}, "VEGA_PUBLIC_API_URL"},
		"advertised address":   {map[string]string{"VEGA_ADVERTISE_ADDR": "cp-1"}, "VEGA_ADVERTISE_ADDR"},
		"half a gRPC pair":     {map[string]string{"VEGA_GRPC_TLS_CERT": "c.pem"}, "VEGA_GRPC_TLS_KEY"},
		"half an HTTP pair":    {map[string]string{"VEGA_HTTP_TLS_KEY": "k.pem"}, "VEGA_HTTP_TLS_CERT"},
		"a CA without a pair":  {map[string]string{"VEGA_GRPC_TLS_CA": "ca.pem"}, "VEGA_GRPC_TLS_CA"},
		"plaintext to outside": {map[string]string{"VEGA_GRPC_ADDR": ":9090"}, "VEGA_GRPC_ADDR"},
		"log level":            {map[string]string{"VEGA_LOG_LEVEL": "loud"}, "VEGA_LOG_LEVEL"},
		"truth value":          {map[string]string{"VEGA_GRPC_INSECURE": "perhaps"}, "VEGA_GRPC_INSECURE"},
		"idle too short":       {map[string]string{"VEGA_SESSION_IDLE": "1s"}, "VEGA_SESSION_IDLE"},
		"idle without a unit":  {map[string]string{"VEGA_SESSION_IDLE": "30"}, "VEGA_SESSION_IDLE"},
		"lifetime too short":   {map[string]string{"VEGA_SESSION_LIFETIME": "1s"}, "VEGA_SESSION_LIFETIME"},
		"trusted proxies":      {map[string]string{"VEGA_TRUSTED_PROXIES": "10.0.0.0/8,proxy.local"}, "VEGA_TRUSTED_PROXIES"},
		"console URL":          {map[string]string{"VEGA_CONSOLE_URL": "https://vega.example.com/console"}, "VEGA_CONSOLE_URL"},
		"plain issuer":         {map[string]string{"VEGA_OIDC_ISSUER": "http://sso.example.com"}, "VEGA_OIDC_ISSUER"},
		"no OIDC client":       {map[string]string{"VEGA_OIDC_ISSUER": "https://sso.example.com"}, "VEGA_OIDC_CLIENT_ID"},
		"OIDC to nowhere":      {map[string]string{"VEGA_OIDC_ISSUER": "https://sso.example.com", "VEGA_OIDC_CLIENT_ID": "vega"}, "VEGA_CONSOLE_URL"},
		"OIDC for nobody":      {map[string]string{"VEGA_OIDC_ISSUER": "https://sso.example.com", "VEGA_OIDC_CLIENT_ID": "vega", "VEGA_CONSOLE_URL": "https://vega.example.com"}, "VEGA_OIDC_ADMINS"},
		"missing file":         {map[string]string{"VEGA_ADMIN_TOKEN_FILE": "/nonexistent/token"}, "VEGA_ADMIN_TOKEN_FILE"},
	} {
		vars := sound()
		maps.Copy(vars, c.set)
		for range 20 { // 点哪个名字不能看运气
			_, err := app.FromEnv(environ(vars))
			if err == nil || !strings.Contains(err.Error(), c.names) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: got %v, want one line with %s", name, err, c.names)
				break
			}
			if strings.Contains(err.Error(), "pw@") {
				t.Errorf("%s: the password is in %v", name, err)
			}
		}
	}
}

func TestFromEnv_TakesValuesFromFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(adminToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	vars := sound()
	vars["VEGA_ADMIN_TOKEN_FILE"] = path
	cfg, err := app.FromEnv(environ(vars))
	if err != nil || cfg.AdminToken != adminToken || cfg.HTTPAddr != ":9080" || cfg.DataDir != ".data/controlplane" {
		t.Errorf("%+v, %v", cfg, err)
	}
}

func TestFromEnv_EmbeddedOnLoopbackNeedsNothing(t *testing.T) {
	if _, err := app.FromEnv([]string{"VEGA_GRPC_ADDR=127.0.0.1:9090"}); err != nil {
		t.Error(err)
	}
}
