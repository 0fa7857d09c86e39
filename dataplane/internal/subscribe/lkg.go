package subscribe

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// 文件的样子：magic（7 字节）| 格式版本（1）| HKDF 的盐（16）| 随机数（12）| 密文与标签。
// 明文是一条 SnapshotUpdate，内容与收到时一样压着。magic、版本与盐是 GCM 的附加数据，改一个字节就解不开。
const (
	lkgMagic   = "VEGALKG"
	lkgVersion = 1
	saltLen    = 16
	nonceLen   = 12
	headLen    = len(lkgMagic) + 1 + saltLen
	lkgInfo    = "vega last-known-good configuration v1"
)

// errAbsent 说文件不存在。
var errAbsent = errors.New("absent")

// seal 加密一份配置；每次一个新的盐，密钥与随机数因此不会重用。
func seal(token string, u *configv1.SnapshotUpdate) ([]byte, error) {
	plain, err := proto.Marshal(u)
	if err != nil {
		return nil, fmt.Errorf("encode the configuration: %w", err)
	}
	out := make([]byte, headLen+nonceLen, headLen+nonceLen+len(plain)+aes.BlockSize)
	copy(out, lkgMagic)
	out[len(lkgMagic)] = lkgVersion
	rand.Read(out[len(lkgMagic)+1:])
	head := out[:headLen:headLen]
	aead, err := cipherFor(token, head)
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, out[headLen:], plain, head), nil
}

// open 是 seal 的逆；data 可以是任意字节。
func open(token string, data []byte) (*configv1.SnapshotUpdate, error) {
	if len(data) < headLen+nonceLen || string(data[:len(lkgMagic)]) != lkgMagic {
		return nil, errors.New("not a stored configuration")
	}
	if v := data[len(lkgMagic)]; v != lkgVersion {
		return nil, fmt.Errorf("unknown format version %d", v)
	}
	head := data[:headLen]
	aead, err := cipherFor(token, head)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, data[headLen:headLen+nonceLen], data[headLen+nonceLen:], head)
	if err != nil {
		return nil, errors.New("damaged, or written with another join token")
	}
	u := &configv1.SnapshotUpdate{}
	if err := proto.Unmarshal(plain, u); err != nil {
		return nil, fmt.Errorf("decode the configuration: %w", err)
	}
	return u, nil
}

func cipherFor(token string, head []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), head[len(lkgMagic)+1:], lkgInfo, 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("start the cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("start the cipher: %w", err)
	}
	return aead, nil
}
