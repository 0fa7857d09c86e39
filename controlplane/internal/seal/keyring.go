package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

const (
	version1  = 1
	keyIDSize = 8
	nonceSize = 12
	tagSize   = 16

	headerEnd  = 1 + keyIDSize                 // 版本与主密钥号
	wrappedAt  = headerEnd + nonceSize         // 被包裹的数据密钥从这里开始
	wrappedEnd = wrappedAt + KeySize + tagSize // 也是数据附加数据的终点
	bodyAt     = wrappedEnd + nonceSize

	// Overhead 是密文比明文多出的字节数。
	Overhead = bodyAt + tagSize
)

var (
	// ErrTampered 表示密文被改过，或不属于这个位置。
	ErrTampered = errors.New("sealed value is damaged or belongs to another row")
	// ErrFormat 表示这不是本程序认识的密文。
	ErrFormat = errors.New("not a sealed value of a known format")
)

// UnknownKeyError 表示密文由一把不在环上的主密钥封成。
type UnknownKeyError struct {
	KeyID string // 十六进制的主密钥号
}

// Error 说出缺的是哪一把，不含密钥本身。
func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("sealed with master key %s, which is not configured; restore that key, or enter the credential again", e.KeyID)
}

// Place 是密文在数据库里的位置；读写两边必须给出同样的三个值。
type Place struct {
	Table, Row, Column string
}

// bytes 把位置写成单射的字节串，接在 prefix 之后。
func (p Place) bytes(prefix []byte) []byte {
	out := append([]byte(nil), prefix...)
	out = append(out, "vega/seal/v1/place"...)
	for _, s := range []string{p.Table, p.Row, p.Column} {
		out = binary.BigEndian.AppendUint64(out, uint64(len(s)))
		out = append(out, s...)
	}
	return out
}

type keyID [keyIDSize]byte

func (id keyID) String() string { return hex.EncodeToString(id[:]) }

// Keyring 是主密钥的环：用第一把封，用任何一把开。只能由 NewKeyring 得到。
type Keyring struct {
	primary keyID
	masters map[keyID]cipher.AEAD
}

// NewKeyring 造一个环；每把主密钥都是 KeySize 字节，older 是轮换之前用过的。
func NewKeyring(primary []byte, older ...[]byte) (*Keyring, error) {
	k := &Keyring{masters: make(map[keyID]cipher.AEAD, 1+len(older))}
	for i, key := range append([][]byte{primary}, older...) {
		aead, err := newAEAD(key)
		if err != nil {
			return nil, fmt.Errorf("master key %d: %w", i+1, err)
		}
		id := idOf(key)
		k.masters[id] = aead
		if i == 0 {
			k.primary = id
		}
	}
	return k, nil
}

// PrimaryID 给出封新值所用主密钥的号，十六进制，可以写进日志。
func (k *Keyring) PrimaryID() string { return k.primary.String() }

// Seal 把 plaintext（可以为空）封给 place。
func (k *Keyring) Seal(place Place, plaintext []byte) ([]byte, error) {
	dataKey := GenerateKey()
	defer clear(dataKey)
	data, err := newAEAD(dataKey)
	if err != nil {
		return nil, err
	}
	out := make([]byte, bodyAt, Overhead+len(plaintext))
	out[0] = version1
	copy(out[1:], k.primary[:])
	rand.Read(out[headerEnd:wrappedAt])
	rand.Read(out[wrappedEnd:bodyAt])
	k.masters[k.primary].Seal(out[wrappedAt:wrappedAt], out[headerEnd:wrappedAt], dataKey, place.bytes(out[:headerEnd]))
	return data.Seal(out, out[wrappedEnd:bodyAt], plaintext, place.bytes(out[:wrappedEnd])), nil
}

// Open 打开封给 place 的值。错误是 *UnknownKeyError、ErrTampered 或 ErrFormat。
func (k *Keyring) Open(place Place, sealed []byte) ([]byte, error) {
	id, err := readHeader(sealed)
	if err != nil {
		return nil, err
	}
	master, ok := k.masters[id]
	if !ok {
		return nil, &UnknownKeyError{KeyID: id.String()}
	}
	dataKey, err := master.Open(nil, sealed[headerEnd:wrappedAt], sealed[wrappedAt:wrappedEnd], place.bytes(sealed[:headerEnd]))
	if err != nil {
		return nil, ErrTampered
	}
	defer clear(dataKey)
	data, err := newAEAD(dataKey)
	if err != nil {
		return nil, ErrTampered
	}
	plaintext, err := data.Open(nil, sealed[wrappedEnd:bodyAt], sealed[bodyAt:], place.bytes(sealed[:wrappedEnd]))
	if err != nil {
		return nil, ErrTampered
	}
	return plaintext, nil
}

// NeedsReseal 说这个值是否不是用现在的首把主密钥、最新的格式封的；认不出的值也算。
func (k *Keyring) NeedsReseal(sealed []byte) bool {
	id, err := readHeader(sealed)
	return err != nil || id != k.primary
}

func readHeader(sealed []byte) (keyID, error) {
	if len(sealed) < Overhead {
		return keyID{}, fmt.Errorf("%w: %d bytes, need at least %d", ErrFormat, len(sealed), Overhead)
	}
	if sealed[0] != version1 {
		return keyID{}, fmt.Errorf("%w: version %d", ErrFormat, sealed[0])
	}
	return keyID(sealed[1:headerEnd]), nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("key has %d bytes, need %d", len(key), KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("set up AES-256: %w", err)
	}
	return cipher.NewGCM(block)
}

func idOf(key []byte) keyID {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("vega/seal/v1/key-id"))
	return keyID(mac.Sum(nil)[:keyIDSize])
}
