package stack

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options 描述要起的一套；零值之外 Bin 与 Dir 必填。
type Options struct {
	// Bin 是三个二进制所在的目录；Dir 放数据与日志。
	Bin, Dir string
	// Nodes 是数据面的个数；0 就是没有。
	Nodes int
	// Replicas 是第一个控制面之外再起几个；它们共用 DatabaseURL 与 ControlplaneEnv 里的主密钥。
	Replicas int
	// DatabaseURL 为空即控制面自带内嵌的 PostgreSQL。
	DatabaseURL string
	// ControlplaneEnv、DataplaneEnv、UpstreamEnv 追加在缺省之后。
	ControlplaneEnv, DataplaneEnv, UpstreamEnv []string
}

// Stack 是起好的一套。
type Stack struct {
	Upstream     *Process
	Controlplane *Process
	Replicas     []*Process // 第一个之外的控制面
	Dataplanes   []*Process
	Admin        Admin
	// UpstreamURL 以 /v1 结尾。
	UpstreamURL string

	opt      Options
	grpcAddr string
	planes   []string // 各控制面的 gRPC 地址，第一个是 grpcAddr
	apiAddrs []string
	opsAddrs []string
	admins   []Admin // 与 Replicas 一一对应
}

// Start 依次起上游、控制面与数据面，各等就绪；失败时已经起的都停掉。
func Start(ctx context.Context, opt Options) (*Stack, error) {
	s := &Stack{opt: opt}
	if err := s.start(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context) error {
	addrs := make([]string, 4)
	for i := range addrs {
		a, err := FreeAddr()
		if err != nil {
			return err
		}
		addrs[i] = a
	}
	s.UpstreamURL = "http://" + addrs[0] + "/v1"
	s.Upstream = &Process{Name: "fakeupstream", Args: []string{filepath.Join(s.opt.Bin, "fakeupstream")}, Log: s.log("fakeupstream"),
		Ready: "http://" + addrs[0] + "/healthz", Env: append([]string{"VEGA_HTTP_ADDR=" + addrs[0]}, s.opt.UpstreamEnv...)}
	if err := s.Upstream.Start(ctx); err != nil {
		return err
	}
	s.grpcAddr, s.planes = addrs[2], []string{addrs[2]}
	s.Controlplane = &Process{Name: "controlplane", Args: []string{filepath.Join(s.opt.Bin, "controlplane"), "serve"}, Log: s.log("controlplane"),
		Ready: "http://" + addrs[3] + "/readyz",
		Env: append([]string{"VEGA_HTTP_ADDR=" + addrs[1], "VEGA_GRPC_ADDR=" + addrs[2], "VEGA_OPS_ADDR=" + addrs[3],
			"VEGA_DATA_DIR=" + s.dir("controlplane"), "VEGA_DATABASE_URL=" + s.opt.DatabaseURL}, s.opt.ControlplaneEnv...)}
	if err := s.Controlplane.Start(ctx); err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(s.dir("controlplane"), "admin-token"))
	if err != nil {
		return fmt.Errorf("read admin token: %w", err)
	}
	s.Admin = Admin{URL: "http://" + addrs[1], Token: strings.TrimSpace(string(token))}
	for range s.opt.Replicas {
		if err := s.addReplica(ctx); err != nil {
			return err
		}
	}
	for range s.opt.Nodes {
		if _, err := s.AddDataplane(ctx); err != nil {
			return err
		}
	}
	return nil
}

// addReplica 加一个控制面并等它就绪；它用第一个的管理令牌与加入令牌。
func (s *Stack) addReplica(ctx context.Context) error {
	addrs := make([]string, 3)
	for i := range addrs {
		a, err := FreeAddr()
		if err != nil {
			return err
		}
		addrs[i] = a
	}
	name := "controlplane-" + strconv.Itoa(len(s.Replicas)+2)
	p := &Process{Name: name, Args: s.Controlplane.Args, Log: s.log(name), Ready: "http://" + addrs[2] + "/readyz",
		Env: append([]string{"VEGA_HTTP_ADDR=" + addrs[0], "VEGA_GRPC_ADDR=" + addrs[1], "VEGA_OPS_ADDR=" + addrs[2],
			"VEGA_DATA_DIR=" + s.dir(name), "VEGA_DATABASE_URL=" + s.opt.DatabaseURL,
			"VEGA_ADMIN_TOKEN_FILE=" + filepath.Join(s.dir("controlplane"), "admin-token")}, s.opt.ControlplaneEnv...)}
	s.Replicas, s.planes = append(s.Replicas, p), append(s.planes, addrs[1])
	s.admins = append(s.admins, Admin{URL: "http://" + addrs[0], Token: s.Admin.Token})
	return p.Start(ctx)
}

// ReplicaAdmin 是经 Replicas[i] 说话的管理 API。
func (s *Stack) ReplicaAdmin(i int) *Admin { return &s.admins[i] }

// AddDataplane 加一个数据面并等它就绪；还没有配置时它起来但不就绪，此时只等它应答。
func (s *Stack) AddDataplane(ctx context.Context, env ...string) (*Process, error) {
	api, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	ops, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	name := "dataplane-" + strconv.Itoa(len(s.Dataplanes)+1)
	p := &Process{Name: name, Args: []string{filepath.Join(s.opt.Bin, "dataplane"), "serve"}, Log: s.log(name), Ready: "http://" + ops + "/healthz",
		Env: slices.Concat([]string{"VEGA_HTTP_ADDR=" + api, "VEGA_OPS_ADDR=" + ops, "VEGA_DATA_DIR=" + s.dir(name), "VEGA_NODE_ID=" + name,
			"VEGA_CONTROLPLANE_ADDR=" + strings.Join(s.planes, ","), "VEGA_JOIN_TOKEN_FILE=" + filepath.Join(s.dir("controlplane"), "join-token"),
			"VEGA_DRAIN_TIMEOUT=20s"}, s.opt.DataplaneEnv, env)}
	s.Dataplanes, s.apiAddrs, s.opsAddrs = append(s.Dataplanes, p), append(s.apiAddrs, api), append(s.opsAddrs, ops)
	return p, p.Start(ctx)
}

// GRPCAddr 是第一个控制面给节点连的地址。
func (s *Stack) GRPCAddr() string { return s.grpcAddr }

// APIURL 是第 i 个数据面的入口，以 /v1 结尾。
func (s *Stack) APIURL(i int) string { return "http://" + s.apiAddrs[i] + "/v1" }

// OpsURL 是第 i 个数据面的运维监听。
func (s *Stack) OpsURL(i int) string { return "http://" + s.opsAddrs[i] }

// DataDir 是第 i 个数据面的数据目录。
func (s *Stack) DataDir(i int) string { return s.dir(s.Dataplanes[i].Name) }

// AwaitReady 等第 i 个数据面换上第一版配置。
func (s *Stack) AwaitReady(ctx context.Context, i int) error {
	for !answers(ctx, s.OpsURL(i)+"/readyz") {
		select {
		case <-ctx.Done():
			return fmt.Errorf("dataplane %d is not ready: %w\n%s", i, ctx.Err(), s.Dataplanes[i].Tail())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// ControlplaneDir 是第一个控制面的数据目录。
func (s *Stack) ControlplaneDir() string { return s.dir("controlplane") }

// Stop 倒着次序停掉一切。
func (s *Stack) Stop() {
	for _, p := range slices.Backward(slices.Concat([]*Process{s.Upstream, s.Controlplane}, s.Replicas, s.Dataplanes)) {
		if p == nil {
			continue
		}
		p.Signal(syscall.SIGCONT) // 被停住的进程也要听得到 SIGTERM
		if err := p.Stop(30 * time.Second); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func (s *Stack) dir(name string) string { return filepath.Join(s.opt.Dir, name) }
func (s *Stack) log(name string) string { return filepath.Join(s.opt.Dir, "logs", name+".log") }
