package ruleset

import (
	"crypto/hmac"
	"crypto/sha256"
)

// MaxSecretLen 是钥匙秘密的最大字节数；更长的不必算就知道不认识。
const MaxSecretLen = 256

// KeyMAC 是 HMAC-SHA-256(pepper, secret)：控制面写进快照，节点以它查钥匙。
func KeyMAC(pepper []byte, secret string) [sha256.Size]byte {
	h := hmac.New(sha256.New, pepper)
	h.Write([]byte(secret))
	var mac [sha256.Size]byte
	h.Sum(mac[:0])
	return mac
}
