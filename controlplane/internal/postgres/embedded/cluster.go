package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// clusterMajor 读出建成这个簇的大版本；簇还不存在时是 0。
func clusterMajor(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if err == nil {
		major, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return 0, fmt.Errorf("%w: %s holds %q", ErrVersion, filepath.Join(dir, "PG_VERSION"), text)
		}
		return major, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("read the version of the data directory: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("read data directory: %w", err)
	}
	if len(entries) > 0 {
		return 0, fmt.Errorf("%s is not empty and is not a PostgreSQL data directory; move it away", dir)
	}
	return 0, nil
}

// initCluster 在临时的兄弟目录里建簇，成功后才改名，所以中途被杀不会留下半个簇。
func initCluster(ctx context.Context, h *home, bin binaries, acct account, durable bool) error {
	temp, err := os.MkdirTemp(h.dir, "postgres-init-")
	if err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	defer os.RemoveAll(temp)
	if err := acct.own(temp); err != nil {
		return err
	}
	if err := runInitdb(ctx, temp, bin, acct, durable); err != nil {
		return err
	}
	// 一个空目录不算簇，但会挡住改名。
	if err := os.Remove(h.cluster()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace empty data directory: %w", err)
	}
	if err := os.Rename(temp, h.cluster()); err != nil {
		return fmt.Errorf("put data directory in place: %w", err)
	}
	return syncDir(h.dir)
}

func runInitdb(ctx context.Context, dir string, bin binaries, acct account, durable bool) error {
	args := []string{"--username=" + roleName, "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C", "--no-instructions"}
	if durable {
		args = append(args, "--data-checksums")
	} else {
		args = append(args, "--no-sync")
	}
	cmd, closeDirs, err := command(bin.path("initdb"), acct, syscall.SIGTERM, dir)
	if err != nil {
		return err
	}
	var output bytes.Buffer
	cmd.Args = append(cmd.Args, append(args, "-D", cmd.lent[0])...)
	cmd.Stdout, cmd.Stderr = &output, &output
	child, err := spawn(cmd.Cmd)
	closeDirs()
	if err != nil {
		return fmt.Errorf("start initdb: %w", err)
	}
	select {
	case <-child.done:
	case <-ctx.Done():
		child.killGroup()
		<-child.done
		return fmt.Errorf("initdb: %w", context.Cause(ctx))
	}
	if child.err != nil {
		return fmt.Errorf("initdb: %w: %s", child.err, lastLines(output.String(), 5))
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync data directory: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync data directory: %w", err)
	}
	return nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
