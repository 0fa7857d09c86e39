package snapshot

import (
	"crypto/sha256"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// worthCompressing 以下的快照压缩省不了几个字节，却要节点多解一次。
const worthCompressing = 1024

// Encode 把快照编成可以原样发给所有节点的一条：确定性编码，摘要取自未压缩的字节，压得小才压。
// 同样的 s 总得同样的摘要；返回的值此后不可再改。
func Encode(revision uint64, s *configv1.Snapshot) (*configv1.SnapshotUpdate, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	digest := sha256.Sum256(raw)
	u := &configv1.SnapshotUpdate{Revision: revision, Digest: digest[:], Snapshot: raw, Encoding: configv1.Encoding_ENCODING_IDENTITY}
	if len(raw) < worthCompressing {
		return u, nil
	}
	packed, err := compress(raw)
	if err != nil {
		return nil, err
	}
	if len(packed) < len(raw) {
		u.Snapshot, u.Encoding = packed, configv1.Encoding_ENCODING_ZSTD
	}
	return u, nil
}

func compress(raw []byte) ([]byte, error) {
	// 单协程：配置很少变，不值得为它养一组。
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("make zstd encoder: %w", err)
	}
	defer func() { _ = w.Close() }()
	return w.EncodeAll(raw, make([]byte, 0, len(raw)/2)), nil
}

// maxSnapshot 是解开的快照的上限；自己编的不会这么大，超过即是坏的。
const maxSnapshot = 1 << 30

// Decode 取出 Encode 编好的一条里没有压缩的字节。
func Decode(u *configv1.SnapshotUpdate) ([]byte, error) {
	if u.GetEncoding() != configv1.Encoding_ENCODING_ZSTD {
		return u.GetSnapshot(), nil
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxSnapshot))
	if err != nil {
		return nil, fmt.Errorf("make zstd decoder: %w", err)
	}
	defer d.Close()
	raw, err := d.DecodeAll(u.GetSnapshot(), nil)
	if err != nil {
		return nil, fmt.Errorf("unpack snapshot: %w", err)
	}
	return raw, nil
}
