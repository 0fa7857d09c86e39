package catalog

import (
	"errors"
	"fmt"
)

// Secret 是明文秘密。零值是空；它不能被打印，也不能被编码，只有 Reveal 拿得出原文。
type Secret struct{ text string }

// errSecretEncoded 说明有人想把秘密写进 JSON 或日志，这总是程序错误。
var errSecretEncoded = errors.New("a secret must not be encoded")

// NewSecret 收下明文。
func NewSecret(text string) Secret { return Secret{text: text} }

// Reveal 给出明文；调用处就是明文的去处，应当一眼能数清。
func (s Secret) Reveal() string { return s.text }

// Empty 说秘密是不是空的。
func (s Secret) Empty() bool { return s.text == "" }

// String 永远给出同一个占位文本。
func (s Secret) String() string { return "[secret]" }

// Format 让所有的格式动词（包括 %#v 与 %x）都只见占位文本。
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalJSON 总是失败。
func (s Secret) MarshalJSON() ([]byte, error) { return nil, errSecretEncoded }

// MarshalText 总是失败。
func (s Secret) MarshalText() ([]byte, error) { return nil, errSecretEncoded }

// hintOf 取末四个字符供人辨认；太短的秘密一个字符也不透露。
func hintOf(secret string) string {
	if len(secret) < 12 {
		return ""
	}
	return secret[len(secret)-4:]
}
