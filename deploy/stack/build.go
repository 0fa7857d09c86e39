package stack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build 把三个二进制构建进 dir；race 为真带竞态检测。root 是仓库的根。
func Build(root, dir string, race bool) error {
	args := []string{"build", "-trimpath"}
	env := append(os.Environ(), "CGO_ENABLED=0")
	if race {
		args, env = append(args, "-race"), os.Environ()
	}
	for _, pkg := range []string{"controlplane/cmd/controlplane", "dataplane/cmd/dataplane", "dataplane/cmd/fakeupstream"} {
		cmd := exec.Command("go", append(args, "-o", filepath.Join(dir, filepath.Base(pkg)), "./"+pkg)...)
		cmd.Dir, cmd.Env = root, env
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
	}
	return nil
}
