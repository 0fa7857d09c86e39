package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// selfSigned 写下一张自签的证书，它也是自己的 CA。
func selfSigned(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", cert), write("key.pem", "PRIVATE KEY", private)
}

func TestGRPC_WithACAOnlyNodesThatShowACertificateGetIn(t *testing.T) {
	cert, key := selfSigned(t)
	cfg := onFreePorts(t.TempDir())
	cfg.GRPCTLSCert, cfg.GRPCTLSKey, cfg.GRPCTLSCA = cert, key, cert
	p := launch(t, cfg)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(pair.Leaf)
	for name, c := range map[string]struct {
		shows []tls.Certificate
		want  codes.Code
	}{
		"none": {nil, codes.Unavailable},
		"ours": {[]tls.Certificate{pair}, codes.Unauthenticated}, // 握手过了，轮到问加入令牌
	} {
		conn, err := grpc.NewClient(p.GRPCAddr().String(), grpc.WithTransportCredentials(credentials.NewTLS(
			&tls.Config{RootCAs: roots, Certificates: c.shows, MinVersion: tls.VersionTLS12})))
		if err != nil {
			t.Fatal(err)
		}
		stream, err := configv1.NewConfigServiceClient(conn).Watch(t.Context())
		if err == nil {
			_, err = stream.Recv()
		}
		if got := status.Code(err); got != c.want {
			t.Errorf("%s: %v (%v)", name, got, err)
		}
		_ = conn.Close()
	}
}
