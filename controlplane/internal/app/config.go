package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"

	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

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

	GRPCTLSCert string `env:"VEGA_GRPC_TLS_CERT"`
	GRPCTLSKey  string `env:"VEGA_GRPC_TLS_KEY"`
	// GRPCTLSCA 有值时，节点必须出示它签发的证书；副本之间也以它验对方，并出示自己的。
	GRPCTLSCA    string `env:"VEGA_GRPC_TLS_CA"`
	GRPCInsecure bool   `env:"VEGA_GRPC_INSECURE"`
	HTTPTLSCert  string `env:"VEGA_HTTP_TLS_CERT"`
	HTTPTLSKey   string `env:"VEGA_HTTP_TLS_KEY"`

	SignIn

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

// check 按次序看各项，因此同样的错总是点同一个名字。
func (c *Config) check() error {
	for _, check := range []func() error{c.checkAddresses, c.checkURLs, c.checkTLS, c.checkSecrets, c.SignIn.check} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkAddresses() error {
	for _, a := range []struct{ name, addr string }{
		{"VEGA_HTTP_ADDR", c.HTTPAddr}, {"VEGA_GRPC_ADDR", c.GRPCAddr}, {"VEGA_OPS_ADDR", c.OpsAddr}} {
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			return fmt.Errorf("%s: %q is not host:port", a.name, a.addr)
		}
	}
	if host, _, err := net.SplitHostPort(c.AdvertiseAddr); c.AdvertiseAddr != "" && (err != nil || host == "") {
		return fmt.Errorf("VEGA_ADVERTISE_ADDR: %q is not host:port", c.AdvertiseAddr)
	}
	return nil
}

func (c *Config) checkURLs() error {
	if c.DatabaseURL != "" {
		if u, err := url.Parse(c.DatabaseURL); err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
			return errors.New("VEGA_DATABASE_URL: must look like postgres://user:password@host:5432/database")
		}
	}
	if c.PublicAPIURL != "" {
		if u, err := url.Parse(c.PublicAPIURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return errors.New("VEGA_PUBLIC_API_URL: must be an absolute URL such as https://llm.example.com")
		}
	}
	return nil
}

func (c *Config) checkTLS() error {
	switch {
	case (c.GRPCTLSCert == "") != (c.GRPCTLSKey == ""):
		return errors.New("VEGA_GRPC_TLS_CERT and VEGA_GRPC_TLS_KEY: set both or neither")
	case (c.HTTPTLSCert == "") != (c.HTTPTLSKey == ""):
		return errors.New("VEGA_HTTP_TLS_CERT and VEGA_HTTP_TLS_KEY: set both or neither")
	case c.GRPCTLSCA != "" && c.GRPCTLSCert == "":
		return errors.New("VEGA_GRPC_TLS_CA: needs VEGA_GRPC_TLS_CERT and VEGA_GRPC_TLS_KEY; it is what node certificates are verified against")
	case c.plaintext() && !c.GRPCInsecure:
		return fmt.Errorf("VEGA_GRPC_ADDR: %s is not a loopback address: set VEGA_GRPC_TLS_CERT and VEGA_GRPC_TLS_KEY, "+
			"or VEGA_GRPC_INSECURE=true to accept plaintext, or listen on 127.0.0.1:9090", c.GRPCAddr)
	}
	return nil
}

// plaintext 说 gRPC 是不是以明文走出本机。
func (c *Config) plaintext() bool { return c.GRPCTLSCert == "" && !loopback(c.GRPCAddr) }

func (c *Config) checkSecrets() error {
	switch {
	case c.AdminToken != "" && len(c.AdminToken) < 32:
		return errors.New("VEGA_ADMIN_TOKEN: must have at least 32 characters")
	case c.JoinToken != "" && len(c.JoinToken) < 16:
		return errors.New("VEGA_JOIN_TOKEN: must have at least 16 characters")
	case c.JoinToken == "" && (c.DatabaseURL != "" || !loopback(c.GRPCAddr)):
		return errors.New("VEGA_JOIN_TOKEN: must be set (the same on every control plane and data plane); make one with: openssl rand -hex 32")
	case c.MasterKey == "" && c.DatabaseURL != "":
		return errors.New("VEGA_MASTER_KEY: must be set when VEGA_DATABASE_URL is (it encrypts upstream credentials); make one with: openssl rand -hex 32")
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

// requireClients 让 t 只收 caFile 签发的客户端证书；caFile 为空则不要证书，认加入令牌。
func requireClients(t *tls.Config, caFile string) error {
	if t == nil || caFile == "" {
		return nil
	}
	var err error
	t.ClientCAs, err = loadCA(caFile)
	t.ClientAuth = tls.RequireAndVerifyClientCert
	return err
}

// loadCA 读一组 CA；caFile 为空返回 nil，即系统自带的。
func loadCA(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("VEGA_GRPC_TLS_CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("VEGA_GRPC_TLS_CA: %s holds no PEM certificate", caFile)
	}
	return pool, nil
}

// peerCredentials 是连别的副本的 gRPC 用的：与自己的监听同样的证书、同样的 CA，因为各副本的设置相同。
func peerCredentials(cfg Config) (credentials.TransportCredentials, error) {
	t, err := loadTLS("VEGA_GRPC_TLS_CERT", cfg.GRPCTLSCert, cfg.GRPCTLSKey)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return insecure.NewCredentials(), nil
	}
	if t.RootCAs, err = loadCA(cfg.GRPCTLSCA); err != nil {
		return nil, err
	}
	return credentials.NewTLS(t), nil
}
