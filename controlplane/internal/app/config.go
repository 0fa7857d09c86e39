package app

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"

	"go.uber.org/zap/zapcore"

	"github.com/vega-gateway/vega/proto/ops"
)

// Config 是控制面全部的设置，名字与含义见对外契约；零值经 FromEnv 补上缺省。
type Config struct {
	// DatabaseURL 为空即在 DataDir 里起一个内嵌的 PostgreSQL。
	DatabaseURL   string `env:"VEGA_DATABASE_URL"`
	DataDir       string `env:"VEGA_DATA_DIR" envDefault:".data/controlplane"`
	HTTPAddr      string `env:"VEGA_HTTP_ADDR" envDefault:":9080"`
	GRPCAddr      string `env:"VEGA_GRPC_ADDR" envDefault:":9090"`
	OpsAddr       string `env:"VEGA_OPS_ADDR" envDefault:":9081"`
	AdminToken    string `env:"VEGA_ADMIN_TOKEN"`
	MasterKey     string `env:"VEGA_MASTER_KEY"`
	JoinToken     string `env:"VEGA_JOIN_TOKEN"`
	AdvertiseAddr string `env:"VEGA_ADVERTISE_ADDR"`
	PublicAPIURL  string `env:"VEGA_PUBLIC_API_URL"`

	GRPCTLSCert  string `env:"VEGA_GRPC_TLS_CERT"`
	GRPCTLSKey   string `env:"VEGA_GRPC_TLS_KEY"`
	GRPCTLSCA    string `env:"VEGA_GRPC_TLS_CA"`
	GRPCInsecure bool   `env:"VEGA_GRPC_INSECURE"`
	HTTPTLSCert  string `env:"VEGA_HTTP_TLS_CERT"`
	HTTPTLSKey   string `env:"VEGA_HTTP_TLS_KEY"`

	LogLevel zapcore.Level `env:"VEGA_LOG_LEVEL" envDefault:"info"`
	// PProf 打开运维监听上的 /debug/pprof。
	PProf bool `env:"VEGA_PPROF"`
}

// FromEnv 从环境读设置；environ 的形状同 os.Environ。错误是一行，点名出错的变量。
func FromEnv(environ []string) (Config, error) {
	cfg, err := ops.Environment[Config](environ)
	if err != nil {
		return Config{}, err
	}
	return cfg, cfg.check()
}

func (c *Config) check() error {
	for name, addr := range map[string]string{"VEGA_HTTP_ADDR": c.HTTPAddr, "VEGA_GRPC_ADDR": c.GRPCAddr, "VEGA_OPS_ADDR": c.OpsAddr} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("%s: %q is not host:port", name, addr)
		}
	}
	if c.DatabaseURL != "" {
		if u, err := url.Parse(c.DatabaseURL); err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
			return fmt.Errorf("VEGA_DATABASE_URL: must look like postgres://user:password@host:5432/database")
		}
	}
	if c.AdminToken != "" && len(c.AdminToken) < 32 {
		return fmt.Errorf("VEGA_ADMIN_TOKEN: must have at least 32 characters")
	}
	if c.JoinToken != "" && len(c.JoinToken) < 16 {
		return fmt.Errorf("VEGA_JOIN_TOKEN: must have at least 16 characters")
	}
	if c.PublicAPIURL != "" {
		if u, err := url.Parse(c.PublicAPIURL); err != nil || u.Host == "" {
			return fmt.Errorf("VEGA_PUBLIC_API_URL: must be an absolute URL such as https://llm.example.com")
		}
	}
	for pair, missing := range map[string]bool{
		"VEGA_GRPC_TLS_CERT and VEGA_GRPC_TLS_KEY": (c.GRPCTLSCert == "") != (c.GRPCTLSKey == ""),
		"VEGA_HTTP_TLS_CERT and VEGA_HTTP_TLS_KEY": (c.HTTPTLSCert == "") != (c.HTTPTLSKey == ""),
	} {
		if missing {
			return fmt.Errorf("%s: set both or neither", pair)
		}
	}
	if c.GRPCTLSCert == "" && !c.GRPCInsecure && !loopback(c.GRPCAddr) {
		return fmt.Errorf("VEGA_GRPC_ADDR: %s is not a loopback address: set VEGA_GRPC_TLS_CERT and VEGA_GRPC_TLS_KEY, "+
			"or VEGA_GRPC_INSECURE=true to accept plaintext, or listen on 127.0.0.1:9090", c.GRPCAddr)
	}
	if c.JoinToken == "" && !(c.DatabaseURL == "" && loopback(c.GRPCAddr)) {
		return fmt.Errorf("VEGA_JOIN_TOKEN: must be set (the same on every control plane and data plane); make one with: openssl rand -hex 32")
	}
	if c.MasterKey == "" && c.DatabaseURL != "" {
		return fmt.Errorf("VEGA_MASTER_KEY: must be set when VEGA_DATABASE_URL is (it encrypts upstream credentials); make one with: openssl rand -hex 32")
	}
	return nil
}

// loopback 说 addr 是否只在本机可达；没有主机名（":9090"）是所有网卡。
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// loadTLS 读证书；cert 为空返回 nil，即明文。
func loadTLS(certVar, cert, key string) (*tls.Config, error) {
	if cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certVar, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
