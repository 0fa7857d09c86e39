// Package docker 只有测试：compose 文件能被 compose 自己的库读懂，次序与健康检查是我们要的那样。
package docker

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func load(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../../docker-compose.yml"}, cli.WithWorkingDirectory("../.."))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatalf("docker-compose.yml: %v", err)
	}
	return p
}

func TestCompose_StartsInHealthCheckedOrder(t *testing.T) {
	p := load(t)
	want := map[string]map[string]string{
		"postgres":     {"init-secrets": types.ServiceConditionCompletedSuccessfully},
		"controlplane": {"postgres": types.ServiceConditionHealthy, "init-secrets": types.ServiceConditionCompletedSuccessfully},
		"dataplane-1":  {"controlplane": types.ServiceConditionHealthy},
		"dataplane-2":  {"controlplane": types.ServiceConditionHealthy},
		"loadbalancer": {"dataplane-1": types.ServiceConditionHealthy, "dataplane-2": types.ServiceConditionHealthy},
		"demo":         {"loadbalancer": types.ServiceConditionHealthy, "demo-upstream": types.ServiceConditionHealthy},
	}
	for name, deps := range want {
		s, err := p.GetService(name)
		if err != nil {
			t.Fatal(err)
		}
		for dep, condition := range deps {
			if got := s.DependsOn[dep].Condition; got != condition {
				t.Errorf("%s depends on %s with %q, want %q", name, dep, got, condition)
			}
			if other := p.Services[dep]; condition == types.ServiceConditionHealthy && (other.HealthCheck == nil || len(other.HealthCheck.Test) == 0) {
				t.Errorf("%s is waited for to be healthy but has no health check", dep)
			}
		}
	}
}

func TestCompose_EveryMountedAndBuiltPathExists(t *testing.T) {
	p := load(t)
	stages := stagesOf(t)
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s mounts %s: %v", name, v.Target, err)
			}
		}
		if s.Build == nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !stages[s.Build.Target] {
			t.Errorf("%s builds stage %q, which the Dockerfile does not have", name, s.Build.Target)
		}
	}
}

func TestCompose_PublishesOnLoopbackAndKeepsNoPassword(t *testing.T) {
	p := load(t)
	for name, s := range p.Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s on %q", name, port.Published, port.HostIP)
			}
		}
		for k, v := range s.Environment {
			secret := strings.Contains(k, "PASSWORD") || strings.Contains(k, "TOKEN") || strings.Contains(k, "KEY")
			if secret && !strings.HasSuffix(k, "_FILE") {
				t.Errorf("%s has %s=%v in plain sight", name, k, v)
			}
		}
	}
}

func TestDockerfile_EmbedsTheConsoleItBuilds(t *testing.T) {
	raw, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	console, rest, ok := strings.Cut(string(raw), "AS build\n")
	if !ok || !stagesOf(t)["console"] {
		t.Fatal("no stage console before the stage build")
	}
	for _, want := range []string{"npm ci", "npm run build"} {
		if !strings.Contains(console, want) {
			t.Errorf("the stage console does not run %q", want)
		}
	}
	copied, embedded := strings.Index(rest, "COPY --from=console"), strings.Index(rest, "RUN deploy/dev/embed-console.sh")
	built := strings.Index(rest, "go build")
	if copied < 0 || copied > embedded || embedded > built {
		t.Error("the console must be copied, then embedded, then compiled in")
	}
}

func stagesOf(t *testing.T) map[string]bool {
	t.Helper()
	b, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 4 && f[0] == "FROM" && f[len(f)-2] == "AS" {
			stages[f[len(f)-1]] = true
		}
	}
	return stages
}
