package embedded

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// distributionDirs 是各发行版放服务器程序的地方（glob）；它们通常不在 PATH 里。
var distributionDirs = []string{
	"/usr/lib/postgresql/*/bin",                          // Debian、Ubuntu
	"/usr/pgsql-*/bin",                                   // RHEL（PGDG）
	"/usr/libexec/postgresql*",                           // Alpine
	"/opt/homebrew/opt/postgresql*/bin",                  // macOS，Apple silicon
	"/usr/local/opt/postgresql*/bin",                     // macOS，Intel
	"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
	"/usr/local/pgsql/bin",                               // 从源码安装
}

// binaries 是一套服务器程序。
type binaries struct {
	dir   string
	major int
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// findBinaries 选一套程序：clusterMajor 不为 0 时大版本必须相同，否则取第一套够新的。
func findBinaries(ctx context.Context, binDir string, clusterMajor int) (binaries, error) {
	dirs := []string{binDir}
	if binDir == "" {
		dirs = searchDirs(ctx)
	}
	var found []string
	for _, dir := range dirs {
		b, err := inspect(ctx, dir)
		if err != nil {
			continue
		}
		if b.major == clusterMajor || clusterMajor == 0 && b.major >= minMajor {
			return b, nil
		}
		found = append(found, fmt.Sprintf("%d in %s", b.major, b.dir))
	}
	if err := ctx.Err(); err != nil {
		return binaries{}, fmt.Errorf("look for PostgreSQL: %w", err)
	}
	return binaries{}, missing(binDir, clusterMajor, found)
}

func missing(binDir string, clusterMajor int, found []string) error {
	const orURL = "or set VEGA_DATABASE_URL to a PostgreSQL that runs elsewhere"
	have := "none"
	if len(found) > 0 {
		have = strings.Join(found, ", ")
	}
	if clusterMajor != 0 {
		return fmt.Errorf("%w: it was created by PostgreSQL %[2]d, but the server binaries found are: %[3]s; install that version "+
			"(`apt-get install postgresql-%[2]d` or `brew install postgresql@%[2]d`), %[4]s", ErrVersion, clusterMajor, have, orURL)
	}
	where := ""
	if binDir != "" {
		where = " in " + binDir
	}
	return fmt.Errorf("%w%s (need PostgreSQL %d or newer, have: %s); install them (`apt-get install postgresql` or `brew install postgresql@16`), %s",
		ErrNoBinaries, where, minMajor, have, orURL)
}

// searchDirs 依次列出 PATH、发行版目录（新版本在前）与 pg_config 所指的目录。
func searchDirs(ctx context.Context) []string {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range distributionDirs {
		matches, _ := filepath.Glob(pattern)
		slices.SortFunc(matches, func(a, b string) int { return numberIn(b) - numberIn(a) })
		dirs = append(dirs, matches...)
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	return dirs
}

var (
	digits      = regexp.MustCompile(`\d+`)
	versionText = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)
)

func numberIn(path string) int {
	n, _ := strconv.Atoi(digits.FindString(path))
	return n
}

// inspect 确认目录里 initdb 与 postgres 齐全，并问出大版本。
func inspect(ctx context.Context, dir string) (binaries, error) {
	if !filepath.IsAbs(dir) {
		return binaries{}, fmt.Errorf("%q is not an absolute path", dir)
	}
	b := binaries{dir: dir}
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(b.path(name)); err != nil {
			return b, err
		}
	}
	out, err := exec.CommandContext(ctx, b.path("postgres"), "--version").Output()
	if err != nil {
		return b, fmt.Errorf("ask %s for its version: %w", b.path("postgres"), err)
	}
	b.major, err = parseMajor(string(out))
	return b, err
}

func parseMajor(version string) (int, error) {
	m := versionText.FindStringSubmatch(version)
	if m == nil {
		return 0, fmt.Errorf("no version in %q", version)
	}
	return strconv.Atoi(m[1])
}
