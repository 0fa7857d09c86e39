package seal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	maxSecretFile = 4096
	minTokenBytes = 24 // base64url 之后正好 32 个字符
	minTokenChars = 32 // 管理令牌的下限，见 VEGA_ADMIN_TOKEN
)

// LoadOrCreate 读出 path 里的主密钥；文件不存在就造一把写进去（0600，十六进制）。
// 别人可读的文件会被收紧到 0600，并把这件事告诉 warn（可以不给）：那把密钥也许已经泄露，应当考虑轮换。
func LoadOrCreate(path string, warn ...func(message string)) ([]byte, error) {
	text, err := loadOrCreate(path, func() string { return FormatKey(GenerateKey()) }, warn)
	if err != nil {
		return nil, fmt.Errorf("master key file: %w", err)
	}
	key, err := ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("master key file %s: %w", path, err)
	}
	return key, nil
}

// LoadOrCreateToken 读出 path 里的令牌；文件不存在就造一个：prefix 加 nbytes（至少 24）个随机字节的 base64url。
// 权限的规矩同 LoadOrCreate。已有的令牌可以是运维者自己写的，不要求 prefix，只要求 32 个以上可见 ASCII 字符。
func LoadOrCreateToken(path, prefix string, nbytes int, warn ...func(message string)) (string, error) {
	token, err := loadOrCreate(path, func() string {
		raw := make([]byte, max(nbytes, minTokenBytes))
		rand.Read(raw)
		return prefix + base64.RawURLEncoding.EncodeToString(raw)
	}, warn)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	if !wellFormedToken(token) {
		return "", fmt.Errorf("token file %s: a token is at least %d printable ASCII characters without spaces; correct the file, or delete it to have one made",
			path, minTokenChars)
	}
	return token, nil
}

func wellFormedToken(token string) bool {
	hidden := func(r rune) bool { return r <= ' ' || r > '~' }
	return len(token) >= minTokenChars && !strings.ContainsFunc(token, hidden)
}

// loadOrCreate 给出文件的内容（去掉首尾空白）。几个进程同时建立时，先放到位的那一份算数。
func loadOrCreate(path string, generate func() string, warn []func(string)) (string, error) {
	text, err := load(path, warn)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	if err := create(path, generate()); err != nil {
		return "", fmt.Errorf("create %s: %w", path, err)
	}
	return load(path, warn)
}

func load(path string, warn []func(string)) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	if err := tighten(path, info.Mode().Perm(), warn); err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxSecretFile {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSecretFile)
	}
	return strings.TrimSpace(string(text)), nil
}

func tighten(path string, mode fs.FileMode, warn []func(string)) error {
	if mode&0o077 == 0 {
		return nil
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("%s has mode %04o, so other users may read it, and it cannot be tightened: %w", path, mode, err)
	}
	for _, w := range warn {
		w(fmt.Sprintf("%s had mode %04o, so other users may have read it; it is 0600 now, consider replacing the secret", path, mode))
	}
	return nil
}

// create 写临时文件、同步、放到位、再同步目录；已有同名文件时不覆盖，也不算错。
func create(path, text string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // 建立时就是 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(text + "\n")
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err != nil {
		return err
	}
	if err := place(temp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// place 用硬链接把文件放到位：它不像改名那样会盖掉别的进程刚放好的一份。不支持硬链接的文件系统退回改名。
func place(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return os.Rename(temp, path)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
