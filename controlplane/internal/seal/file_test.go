package seal

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestLoadOrCreate_MakesAPrivateFileOnceAndReusesIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "master-key")
	first, err := LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadOrCreate(path)
	if err != nil || !bytes.Equal(first, again) || len(first) != KeySize {
		t.Fatalf("second time: %d bytes, %v", len(again), err)
	}
	if mode := modeOf(t, path); mode != 0o600 {
		t.Errorf("mode %v", mode)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left in the directory: %v, %v", entries, err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != FormatKey(first)+"\n" {
		t.Errorf("file holds %d bytes, %v", len(text), err)
	}
}

func TestLoadOrCreate_GivesRacersTheSameKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master-key")
	keys := make([]string, 16)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := LoadOrCreate(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = FormatKey(key)
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k != keys[0] {
			t.Fatal("two racers hold different keys")
		}
	}
}

func TestLoadOrCreate_TightensAnOpenFileAndSaysSo(t *testing.T) {
	for _, mode := range []fs.FileMode{0o644, 0o640, 0o604, 0o660} {
		path := filepath.Join(t.TempDir(), "master-key")
		key := GenerateKey()
		if err := os.WriteFile(path, []byte(FormatKey(key)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		var said []string
		got, err := LoadOrCreate(path, func(m string) { said = append(said, m) })
		if err != nil || !bytes.Equal(got, key) {
			t.Fatalf("%v: %v", mode, err)
		}
		if modeOf(t, path) != 0o600 || len(said) != 1 || !strings.Contains(said[0], path) {
			t.Errorf("%v: now %v, said %q", mode, modeOf(t, path), said)
		}
		if strings.Contains(strings.Join(said, ""), FormatKey(key)) {
			t.Error("the warning shows the key")
		}
	}
}

func TestLoadOrCreate_RefusesNonsenseWithoutReplacingIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master-key")
	for _, text := range []string{"", "not a key", strings.Repeat("x", maxSecretFile+1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreate(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%.10q: %v", text, err)
		}
		if now, _ := os.ReadFile(path); string(now) != text {
			t.Errorf("%.10q was replaced", text)
		}
	}
	if _, err := LoadOrCreate(t.TempDir()); err == nil {
		t.Error("a directory was accepted")
	}
}

func TestLoadOrCreateToken_MakesPrefixedTokensOfTheLengthAsked(t *testing.T) {
	dir := t.TempDir()
	a, err := LoadOrCreateToken(filepath.Join(dir, "admin-token"), "vga-", 32)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(a, "vga-") || len(a) != len("vga-")+43 {
		t.Errorf("token has %d characters", len(a))
	}
	b, err := LoadOrCreateToken(filepath.Join(dir, "join-token"), "vga-", 32)
	if err != nil || a == b {
		t.Errorf("two files hold the same token, or %v", err)
	}
	if again, err := LoadOrCreateToken(filepath.Join(dir, "admin-token"), "vga-", 32); err != nil || again != a {
		t.Errorf("not reused: %v", err)
	}
}

func TestLoadOrCreateToken_AcceptsWhatAnOperatorWroteIfStrongEnough(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin-token")
	for text, ok := range map[string]bool{
		strings.Repeat("k", 32) + "\n":                          true,
		strings.Repeat("k", 31):                                 false,
		strings.Repeat("k", 20) + " " + strings.Repeat("k", 20): false,
		strings.Repeat("密", 20):                                 false,
		"":                                                      false,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		token, err := LoadOrCreateToken(path, "vga-", 32)
		if (err == nil) != ok || ok && token != strings.TrimSpace(text) {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error shows the token: %v", err)
		}
	}
}

func TestLoadOrCreateToken_NeverGoesBelowTheLengthOfATokenItWouldAccept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "join-token")
	if _, err := LoadOrCreateToken(path, "", 1); err != nil {
		t.Fatal(err)
	}
}
