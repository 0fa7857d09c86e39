package identity

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Params 是 argon2id 的代价。
type Params struct {
	// MemoryKiB 是一次散列占的内存，KiB；Passes 是遍数。并行度恒为 1：并行靠几个人同时登录。
	MemoryKiB, Passes uint32
}

const (
	saltBytes = 16
	hashBytes = 32

	minPassword = 12
	maxPassword = 256
)

// defaultParams 取 RFC 9106 §4 第二推荐的遍数，内存减半：控制面常在内存不大的容器里。
func defaultParams() Params { return Params{MemoryKiB: 32 << 10, Passes: 3} }

// encode 写成 PHC 的字符串形式，参数与盐都在里面。
func (p Params) encode(salt, sum []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, p.MemoryKiB, p.Passes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

func (p Params) derive(password string, salt []byte) []byte {
	return argon2.IDKey([]byte(password), salt, p.Passes, p.MemoryKiB, 1, hashBytes)
}

func (p Params) hash(password string) string {
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	return p.encode(salt, p.derive(password, salt))
}

// stored 是解开的散列。
type stored struct {
	Params
	salt, sum []byte
}

func parseHash(encoded string) (stored, error) {
	var s stored
	var version int
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return s, fmt.Errorf("not an argon2id hash")
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return s, fmt.Errorf("unknown argon2 version %q", parts[2])
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=1", &s.MemoryKiB, &s.Passes); err != nil || s.MemoryKiB == 0 || s.Passes == 0 {
		return s, fmt.Errorf("unknown argon2 parameters %q", parts[3])
	}
	var err error
	if s.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return s, fmt.Errorf("decode salt: %w", err)
	}
	if s.sum, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(s.sum) != hashBytes {
		return s, fmt.Errorf("decode hash of %d bytes: %w", len(s.sum), err)
	}
	return s, nil
}

func (s stored) matches(password string) bool {
	return subtle.ConstantTimeCompare(s.derive(password, s.salt), s.sum) == 1
}

// checkPassword 是口令的规矩：只求长，不求花样（NIST SP 800-63B §5.1.1.2）。
func checkPassword(name string, current, next catalog.Secret) error {
	text := next.Reveal()
	var message string
	switch n := utf8.RuneCountInString(text); {
	case !utf8.ValidString(text):
		message = "must be valid UTF-8"
	case n < minPassword:
		message = fmt.Sprintf("must have at least %d characters", minPassword)
	case len(text) > maxPassword:
		message = fmt.Sprintf("must have at most %d bytes", maxPassword)
	case strings.Count(text, text[:utf8First(text)]) == n:
		message = "must not be one character repeated"
	case strings.Contains(strings.ToLower(text), name) && n < len(name)+minPassword:
		message = "must not be built around the operator's name"
	case text == current.Reveal():
		message = "must differ from the current password"
	default:
		return nil
	}
	return invalid("new_password", message)
}

func utf8First(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

func invalid(path, message string) error {
	return vegaerr.New(vegaerr.Invalid, "", "%s %s", path, message).WithProblems([]vegaerr.Problem{{Path: path, Message: message}})
}
