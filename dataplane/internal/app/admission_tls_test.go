package app

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
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/vega-gateway/vega/dataplane/internal/controltest"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// certificate 写下一张自签的证书，它也是自己的 CA；两头都用它。
func certificate(t *testing.T) (certFile, keyFile string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if pair, err = tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile, pair
}

// visitor 是一条流上看见的来者。
type visitor struct {
	road, node, token string
	shown             int // 出示并验过的证书数
}

// visited 给出 ctx 里的来者。
func visited(stream grpc.ServerStream, road string) visitor {
	v := visitor{road: road}
	if p, ok := peer.FromContext(stream.Context()); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			v.shown = len(info.State.VerifiedChains)
		}
	}
	if md, ok := metadata.FromIncomingContext(stream.Context()); ok && len(md.Get("authorization")) == 1 {
		v.token = md.Get("authorization")[0]
	}
	return v
}

// secureReplica 是只认证书的一个控制面副本：leader 非空即把准入指到那里。
type secureReplica struct {
	admissionv1.UnimplementedAdmissionServiceServer
	configv1.UnimplementedConfigServiceServer
	leader string
	seen   chan visitor
}

func (r *secureReplica) see(v visitor) {
	select {
	case r.seen <- v:
	default:
	}
}

// Admit 实现 admissionv1.AdmissionServiceServer。
func (r *secureReplica) Admit(stream grpc.BidiStreamingServer[admissionv1.AdmitRequest, admissionv1.AdmitResponse]) error {
	if r.leader != "" {
		r.see(visited(stream, "elsewhere"))
		return stream.Send(&admissionv1.AdmitResponse{NotLeader: &admissionv1.NotLeader{LeaderAddr: r.leader}})
	}
	m, err := stream.Recv()
	if err != nil {
		return err
	}
	v := visited(stream, "leader")
	v.node = m.GetNodeId()
	r.see(v)
	<-stream.Context().Done()
	return nil
}

// Watch 实现 configv1.ConfigServiceServer。
func (r *secureReplica) Watch(stream grpc.BidiStreamingServer[configv1.WatchRequest, configv1.WatchResponse]) error {
	r.see(visited(stream, "configuration"))
	<-stream.Context().Done()
	return nil
}

// serveSecurely 以双向 TLS 提供 r，给出地址。
func serveSecurely(t *testing.T, pair tls.Certificate, r *secureReplica) (addr string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(pair.Leaf)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpc.WaitForHandlers(true), grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12})))
	admissionv1.RegisterAdmissionServiceServer(srv, r)
	configv1.RegisterConfigServiceServer(srv, r)
	go func() { _ = srv.Serve(ln) }() // Stop 使它返回
	t.Cleanup(srv.Stop)
	return ln.Addr().String()
}

// TestAdmission_EveryConnectionShowsTheSameCertificateAndToken 准入的连接（连同被指去的那一条）与配置的一样：双向 TLS，带着加入令牌。
func TestAdmission_EveryConnectionShowsTheSameCertificateAndToken(t *testing.T) {
	cert, key, pair := certificate(t)
	seen := make(chan visitor, 64)
	leader := serveSecurely(t, pair, &secureReplica{seen: seen})
	other := serveSecurely(t, pair, &secureReplica{seen: seen, leader: leader})
	cfg := testConfig(other, t.TempDir())
	cfg.GRPCTLSCert, cfg.GRPCTLSKey, cfg.GRPCTLSCA = cert, key, cert
	cfg.NodeID = "n1"
	launch(t, cfg)
	waiting := map[string]bool{"configuration": true, "elsewhere": true, "leader": true}
	for deadline := time.After(10 * time.Second); len(waiting) > 0; {
		select {
		case v := <-seen:
			if v.shown == 0 || v.token != "Bearer "+controltest.DefaultJoinToken || v.road == "leader" && v.node != "n1" {
				t.Fatalf("%+v", v)
			}
			delete(waiting, v.road)
		case <-deadline:
			t.Fatalf("never came: %v", waiting)
		}
	}
}

func TestAdmission_WithoutACertificateTheLeaderIsNeverReached(t *testing.T) {
	cert, _, pair := certificate(t)
	r := &secureReplica{seen: make(chan visitor, 64)}
	cfg := testConfig(serveSecurely(t, pair, r), t.TempDir())
	cfg.GRPCTLSCA = cert
	p := launch(t, cfg)
	eventually(t, "a failed attempt", func() bool { return p.logs.FilterMessage("admission stream ended, reconnecting").Len() > 0 })
	if len(r.seen) != 0 {
		t.Fatalf("%+v got in", <-r.seen)
	}
}
