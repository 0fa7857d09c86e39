package pgtest

import (
	"context"
	"sync"
	"testing"
	"time"
	"unsafe"
)

const (
	setupTimeout = 3 * time.Minute // 首次可能要拉镜像
	cloneTimeout = time.Minute
)

// process 是本测试进程的唯一一台服务器。包级变量在此不可避免：测试之间没有别的共同祖先。
var process shared

// shared 懒惰地持有服务器与各个模板。
type shared struct {
	mu        sync.Mutex
	server    *server
	err       error // 找服务器失败后不再重试
	templates map[unsafe.Pointer]*template
}

// template 是一次迁移的结果；once 之后不变。
type template struct {
	once    sync.Once
	migrate func(ctx context.Context, url string) error // 留住闭包，它的地址才不会被重用
	name    string
	err     error
}

// New 克隆一个数据库，返回它的 URL；测试结束时删掉，仍连着的会话会被断开。
// migrate 收到的 url 连着一个空库；它须在返回前关掉自己的连接。nil 表示不迁移。
func New(t testing.TB, migrate func(ctx context.Context, url string) error) (url string) {
	t.Helper()
	return process.clone(t, migrate)
}

func (p *shared) clone(t testing.TB, migrate func(context.Context, string) error) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), setupTimeout)
	defer cancel()
	s, err := p.get(ctx)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	from, err := p.template(ctx, s, migrate)
	if err != nil {
		t.Fatalf("pgtest: prepare template: %v", err)
	}
	name, err := s.create(ctx, from)
	if err != nil {
		t.Fatalf("pgtest: clone template: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), cloneTimeout)
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			t.Errorf("pgtest: drop %s: %v", name, err)
		}
	})
	return s.urlOf(name)
}

// Main 运行测试，然后停掉服务器。在 TestMain 里调用，调用后直接返回：testing 会以测试的结果退出。
func Main(m *testing.M) { Wrap(m).Run() }

// Runner 是 goleak.VerifyTestMain 所要的形状。
type Runner struct{ m *testing.M }

// Wrap 让 m 在跑完后停掉服务器，这样泄漏检查不会把服务器当成泄漏。
func Wrap(m *testing.M) Runner { return Runner{m} }

// Run 实现 goleak.TestingM，返回退出码。
func (r Runner) Run() int {
	defer process.close()
	return r.m.Run()
}

func (p *shared) get(ctx context.Context) (*server, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil && p.err == nil {
		p.server, p.err = open(ctx)
	}
	return p.server, p.err
}

func (p *shared) template(ctx context.Context, s *server, migrate func(context.Context, string) error) (string, error) {
	t := p.templateOf(migrate)
	t.once.Do(func() { t.name, t.err = s.createTemplate(ctx, migrate) })
	return t.name, t.err
}

// templateOf 以函数值（闭包对象的地址）为键；reflect 只给得出代码的地址，分不清捕获了不同变量的闭包。
func (p *shared) templateOf(migrate func(context.Context, string) error) *template {
	key := *(*unsafe.Pointer)(unsafe.Pointer(&migrate))
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.templates[key]
	if !ok {
		t = &template{migrate: migrate}
		if p.templates == nil {
			p.templates = make(map[unsafe.Pointer]*template)
		}
		p.templates[key] = t
	}
	return t
}

func (p *shared) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		p.server.close()
	}
	p.server, p.templates = nil, nil
}
