package gateway

import "math/rand/v2"

// idAlphabet 是小写的 Crockford 基 32：没有容易看错的字母，也没有连字符（上游看见的是 "<id>-<n>"）。
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// NewID 造一个请求号："req_" 加 128 个随机位的 26 个字符。
// 随机数取自运行时的 ChaCha8（由系统熵播种）：要的是不重复与猜不着，不是密钥。
func NewID() string {
	const prefix = "req_"
	hi, lo := rand.Uint64(), rand.Uint64()
	var out [len(prefix) + 26]byte
	copy(out[:], prefix)
	for i := len(out) - 1; i >= len(prefix); i-- {
		out[i] = idAlphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}
