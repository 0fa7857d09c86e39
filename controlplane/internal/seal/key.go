package seal

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// KeySize 是主密钥与数据密钥的字节数。
const KeySize = 32

var errKeyForm = errors.New("a master key is 32 random bytes, written as 64 hexadecimal digits or as base64; make one with `openssl rand -hex 32`")

// GenerateKey 造一把随机的密钥，KeySize 字节。
func GenerateKey() []byte {
	key := make([]byte, KeySize)
	rand.Read(key) // 自 Go 1.24 起不会失败
	return key
}

// FormatKey 是 ParseKey 的逆：64 个十六进制字符。
func FormatKey(key []byte) string { return hex.EncodeToString(key) }

// ParseKey 读 64 个十六进制字符，或 32 字节的 base64（标准或 URL 字母表，有无填充皆可）；首尾空白忽略。
// 错误文本说明怎样造一把，从不含输入。
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if len(text) == hex.EncodedLen(KeySize) {
		if key, err := hex.DecodeString(text); err == nil {
			return key, nil
		}
	}
	// 两个字母表只差两对字符，先化为一种，再按无填充解。
	raw := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	key, err := base64.RawURLEncoding.Strict().DecodeString(raw)
	if err != nil || len(key) != KeySize || strings.ContainsAny(text, "\r\n") {
		return nil, errKeyForm
	}
	return key, nil
}
