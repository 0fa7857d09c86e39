package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
)

// Hash 是会话与令牌落盘的样子：256 个随机位的 SHA-256，不必加盐，也不必慢。
type Hash [sha256.Size]byte

// HashOf 给出 text 的散列。
func HashOf(text string) Hash { return sha256.Sum256([]byte(text)) }

const (
	tokenPrefix  = "vt-"
	randomBytes  = 32
	tokenEncoded = 43 // 32 字节的 base64url，没有填充
)

// newToken 是 prefix 加 256 个随机位的 base64url。
func newToken(prefix string) catalog.Secret {
	raw := make([]byte, randomBytes)
	rand.Read(raw)
	return catalog.NewSecret(prefix + base64.RawURLEncoding.EncodeToString(raw))
}

// looksLikeToken 让明显不是令牌的不必问数据库。
func looksLikeToken(text, prefix string) bool {
	rest, ok := strings.CutPrefix(text, prefix)
	return ok && len(rest) == tokenEncoded
}

// oneTime 造一个一次性口令：100 个随机位，五个一组，好抄；不用 0、1、8、9 这些易混的字符。
func oneTime() catalog.Secret {
	text := strings.ToLower(rand.Text())[:20]
	return catalog.NewSecret(text[:5] + "-" + text[5:10] + "-" + text[10:15] + "-" + text[15:])
}

// newID 是随机的 UUID（RFC 9562 第 4 版）。
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// isID 说 text 是不是 UUID 的样子：路径里写错的 id 是找不到，不是数据库的错误。
func isID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range text {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdef", c) {
			return false
		}
	}
	return true
}

func hint(secret catalog.Secret) string {
	text := secret.Reveal()
	return text[len(text)-4:]
}
