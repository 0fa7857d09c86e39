package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/vega-gateway/vega/proto/ops"
)

// Config 是数据面全部的设置，名字与含义见对外契约；零值经 FromEnv 补上缺省。
type Config struct {
	DataDir          string   `env:"VEGA_DATA_DIR" envDefault:".data/dataplane"`
	HTTPAddr         string   `env:"VEGA_HTTP_ADDR" envDefault:":8080"`
	OpsAddr          string   `env:"VEGA_OPS_ADDR" envDefault:":8081"`
	ControlplaneAddr []string `env:"VEGA_CONTROLPLANE_ADDR" envDefault:"127.0.0.1:9090" envSeparator:","`
	JoinToken        string   `env:"VEGA_JOIN_TOKEN"`
	NodeID           string   `env:"VEGA_NODE_ID"`

	GRPCTLSCert  string `env:"VEGA_GRPC_TLS_CERT"`
	GRPCTLSKey   string `env:"VEGA_GRPC_TLS_KEY"`
	GRPCTLSCA    string `env:"VEGA_GRPC_TLS_CA"`
	GRPCInsecure bool   `env:"VEGA_GRPC_INSECURE"`
	HTTPTLSCert  string `env:"VEGA_HTTP_TLS_CERT"`
	HTTPTLSKey   string `env:"VEGA_HTTP_TLS_KEY"`

	CORSOrigins  []string `env:"VEGA_CORS_ORIGINS" envSeparator:","`
	MaxBodyBytes int64    `env:"VEGA_MAX_BODY_BYTES" envDefault:"33554432"`
	// DrainTimeout 是停机时等在途请求的上限。
	DrainTimeout Duration `env:"VEGA_DRAIN_TIMEOUT" envDefault:"600s"`
	// DrainDelay 是停机时先报未就绪、再停止接新连接之间的间隔：给负载均衡察觉的时间。
	DrainDelay Duration `env:"VEGA_DRAIN_DELAY" envDefault:"0s"`

	// JournalMaxBytes 是用量记录在盘上至多占多少字节；满了就只记在内存里。
	JournalMaxBytes int64 `env:"VEGA_JOURNAL_MAX_BYTES" envDefault:"1073741824"`
	// JournalKeep 与 JournalKeepBytes 是已确认的用量记录再留多久、至多留多少字节：数据库回到过去时凭它补报。
	JournalKeep      Duration `env:"VEGA_JOURNAL_KEEP" envDefault:"15m"`
	JournalKeepBytes int64    `env:"VEGA_JOURNAL_KEEP_BYTES" envDefault:"67108864"`

	LogLevel zapcore.Level `env:"VEGA_LOG_LEVEL" envDefault:"info"`
	// PProf 打开运维监听上的 /debug/pprof。
	PProf bool `env:"VEGA_PPROF"`
}

// Duration 接受 "600s"、"10m"，也接受不带单位的秒数。
type Duration time.Duration

// UnmarshalText 实现 encoding.TextUnmarshaler。
func (d *Duration) UnmarshalText(b []byte) error {
	if n, err := strconv.ParseUint(string(b), 10, 31); err == nil {
		*d = Duration(time.Duration(n) * time.Second)
		return nil
	}
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration such as 600s or 10m", b)
	}
	*d = Duration(v)
	return nil
}

// FromEnv 从环境读设置；environ 的形状同 os.Environ。错误是一行，点名出错的变量。
func FromEnv(environ []string) (Config, error) {
	cfg, err := ops.Environment[Config](environ)
	if err != nil {
		return Config{}, err
	}
	return cfg, cfg.check()
}

// maxBody 是请求体上限的上限：体整个读进内存。
const maxBody = 4 << 30

// minJournal 放得下四段：在写的、预备的，与两段留着的。
const minJournal = 64 << 20

// check 依次查各项，报头一处毛病。
func (c *Config) check() error {
	for _, check := range []func() error{c.checkAddresses, c.checkNames, c.checkTLS, c.checkLimits} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkAddresses() error {
	for _, v := range []struct{ name, addr string }{{"VEGA_HTTP_ADDR", c.HTTPAddr}, {"VEGA_OPS_ADDR", c.OpsAddr}} {
		if _, port, err := net.SplitHostPort(v.addr); err != nil || !validPort(port, 0) {
			return fmt.Errorf("%s: %q is not host:port", v.name, v.addr)
		}
	}
	for i, addr := range c.ControlplaneAddr {
		addr = strings.TrimSpace(addr)
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || !validPort(port, 1) {
			return fmt.Errorf("VEGA_CONTROLPLANE_ADDR: %q is not host:port", addr)
		}
		c.ControlplaneAddr[i] = addr
	}
	return nil
}

// validPort 说 s 是不是不小于 lowest 的端口号；监听可以用 0，由系统挑。
func validPort(s string, lowest uint64) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n >= lowest
}

func (c *Config) checkNames() error {
	if c.JoinToken == "" {
		return fmt.Errorf("VEGA_JOIN_TOKEN: must be set to the control plane's join token (VEGA_JOIN_TOKEN_FILE=<data dir of the control plane>/join-token reads the generated one)")
	}
	// 令牌要放进 gRPC 的元数据；放不进的每次调用都失败，而且说不清为什么。
	if strings.IndexFunc(c.JoinToken, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return fmt.Errorf("VEGA_JOIN_TOKEN: must be printable ASCII without spaces")
	}
	if c.NodeID != "" && !nodeName.MatchString(c.NodeID) {
		return fmt.Errorf("VEGA_NODE_ID: %q must match %s", c.NodeID, nodeName)
	}
	for _, o := range c.CORSOrigins {
		if u, err := url.Parse(o); o != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Path != "") {
			return fmt.Errorf("VEGA_CORS_ORIGINS: %q is not an origin such as https://app.example.com", o)
		}
	}
	return nil
}

func (c *Config) checkTLS() error {
	for _, v := range []struct{ certName, keyName, cert, key string }{
		{"VEGA_GRPC_TLS_CERT", "VEGA_GRPC_TLS_KEY", c.GRPCTLSCert, c.GRPCTLSKey},
		{"VEGA_HTTP_TLS_CERT", "VEGA_HTTP_TLS_KEY", c.HTTPTLSCert, c.HTTPTLSKey},
	} {
		if (v.cert == "") != (v.key == "") {
			return fmt.Errorf("%s: set it together with %s, or neither", v.certName, v.keyName)
		}
	}
	return nil
}

func (c *Config) checkLimits() error {
	if c.MaxBodyBytes < 1 || c.MaxBodyBytes > maxBody {
		return fmt.Errorf("VEGA_MAX_BODY_BYTES: must be between 1 and %d bytes", int64(maxBody))
	}
	if c.JournalMaxBytes < minJournal {
		return fmt.Errorf("VEGA_JOURNAL_MAX_BYTES: must be at least %d bytes", int64(minJournal))
	}
	if time.Duration(c.JournalKeep) < time.Second {
		return fmt.Errorf("VEGA_JOURNAL_KEEP: must be at least 1s")
	}
	if c.JournalKeepBytes < 1 {
		return fmt.Errorf("VEGA_JOURNAL_KEEP_BYTES: must be at least 1 byte")
	}
	if c.LogLevel > zapcore.ErrorLevel {
		return fmt.Errorf("VEGA_LOG_LEVEL: %q is not one of debug, info, warn, error", c.LogLevel)
	}
	return nil
}

// plaintext 说与控制面的连接是否不加密：没有给证书，而且明说了或者所有地址都在回环上。给了证书总是加密。
func (c *Config) plaintext() bool {
	if c.GRPCTLSCA != "" || c.GRPCTLSCert != "" {
		return false
	}
	if c.GRPCInsecure {
		return true
	}
	for _, addr := range c.ControlplaneAddr {
		host, _, _ := net.SplitHostPort(addr)
		ip := net.ParseIP(host)
		if host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// grpcTLS 造连控制面的 TLS 设置；没有给 CA 时用系统的根。
func (c *Config) grpcTLS() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.GRPCTLSCA != "" {
		pem, err := os.ReadFile(c.GRPCTLSCA)
		if err != nil {
			return nil, fmt.Errorf("VEGA_GRPC_TLS_CA: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("VEGA_GRPC_TLS_CA: %s holds no PEM certificate", c.GRPCTLSCA)
		}
	}
	if c.GRPCTLSCert != "" {
		pair, err := tls.LoadX509KeyPair(c.GRPCTLSCert, c.GRPCTLSKey)
		if err != nil {
			return nil, fmt.Errorf("VEGA_GRPC_TLS_CERT: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}
