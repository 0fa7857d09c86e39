package stack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Build 把三个二进制构建进 dir；race 为真带竞态检测。root 是仓库的根。
func Build(root, dir string, race bool) error {
	args := []string{}
	env := append(os.Environ(), "CGO_ENABLED=0")
	if race {
		args, env = append(args, "-race"), os.Environ()
	}
	for _, pkg := range []string{"controlplane/cmd/controlplane", "dataplane/cmd/dataplane", "dataplane/cmd/fakeupstream"} {
		if err := build(root, dir, pkg, env, args...); err != nil {
			return err
		}
	}
	return nil
}

// BuildSeeded 把能故意放进错误的数据面（-tags seeded）构建进 dir，别的二进制从 bin 链过来。
func BuildSeeded(root, bin, dir string) error {
	for _, name := range []string{"controlplane", "fakeupstream"} {
		if err := os.Symlink(filepath.Join(bin, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	return build(root, dir, "dataplane/cmd/dataplane", append(os.Environ(), "CGO_ENABLED=0"), "-tags", "seeded")
}

func build(root, dir, pkg string, env []string, args ...string) error {
	cmd := exec.Command("go", slices.Concat([]string{"build", "-trimpath"}, args, []string{"-o", filepath.Join(dir, filepath.Base(pkg)), "./" + pkg})...)
	cmd.Dir, cmd.Env = root, env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}
