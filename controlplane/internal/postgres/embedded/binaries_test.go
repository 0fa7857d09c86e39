package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeBinaries 造一套只会报版本的程序。
func fakeBinaries(t *testing.T, major string) string {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s'\n", major)
	for _, name := range []string{"initdb", "postgres"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir
}

func TestFindBinaries_PrefersPATHOrder(t *testing.T) {
	first, second := fakeBinaries(t, "16.2"), fakeBinaries(t, "17.0")
	t.Setenv("PATH", first+":"+second)
	b, err := findBinaries(t.Context(), "", 0)
	must(t, err)
	if b.dir != first || b.major != 16 {
		t.Errorf("found %+v", b)
	}
}

func TestFindBinaries_MatchesTheCluster(t *testing.T) {
	t.Setenv("PATH", fakeBinaries(t, "97.2")+":"+fakeBinaries(t, "98.1"))
	b, err := findBinaries(t.Context(), "", 98)
	must(t, err)
	if b.major != 98 {
		t.Errorf("found %+v", b)
	}
}

func TestStart_SaysWhatToInstallWhenThereAreNoBinaries(t *testing.T) {
	for name, bin := range map[string]string{"none": t.TempDir(), "too old": fakeBinaries(t, "12.3")} {
		_, err := Start(t.Context(), Config{DataDir: t.TempDir(), BinDir: bin})
		if !errors.Is(err, ErrNoBinaries) {
			t.Fatalf("%s: %v", name, err)
		}
		for _, hint := range []string{"apt-get install postgresql", "brew install postgresql@16", "VEGA_DATABASE_URL"} {
			if !strings.Contains(err.Error(), hint) {
				t.Errorf("%s: %q does not mention %q", name, err, hint)
			}
		}
	}
}

func TestStart_SaysWhatToInstallWhenVersionDiffers(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "postgres"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "postgres", "PG_VERSION"), []byte("11\n"), 0o600))
	_, err := Start(t.Context(), Config{DataDir: dir})
	if !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "postgresql-11") {
		t.Fatalf("Start: %v", err)
	}
}

func TestStart_RefusesAFolderThatIsNotACluster(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "postgres", "photos"), 0o700))
	if _, err := Start(t.Context(), Config{DataDir: dir}); err == nil || !strings.Contains(err.Error(), "not a PostgreSQL data directory") {
		t.Fatalf("Start: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "postgres", "photos")); err != nil {
		t.Error("foreign files were touched")
	}
}

func TestParseMajor_ReadsEveryForm(t *testing.T) {
	for text, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)": 15,
		"postgres (PostgreSQL) 18beta1":                        18,
		"postgres (PostgreSQL) 19devel":                        19,
	} {
		if got, err := parseMajor(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	if _, err := parseMajor("mysqld 8"); err == nil {
		t.Error("nonsense was accepted")
	}
}

func FuzzParsePID_NeverYieldsADangerousPID(f *testing.F) {
	for _, s := range []string{"123\n/data\n", "-1\n", "1", "0\n", "", "99999999999999999999", " 42 \r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if pid := parsePID(text); pid != 0 && pid <= 1 {
			t.Fatalf("pid %d from %q", pid, text)
		}
	})
}
