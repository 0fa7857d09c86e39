package subscribe

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"unicode"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"

	"github.com/vega-gateway/vega/dataplane/internal/state"
)

// apply 换上一份配置并给出应答；失败则旧的照用。
func (s *Subscriber) apply(u *configv1.SnapshotUpdate) *configv1.WatchRequest {
	st, fresh, err := s.next(u)
	if err != nil {
		reason := oneLine(err)
		s.refused.note(u)
		s.setRefusal(fmt.Sprintf("revision %d refused: %s", u.GetRevision(), reason))
		s.log.Error("configuration refused, keeping the old one", zap.Uint64("revision", u.GetRevision()), zap.String("reason", reason))
		return &configv1.WatchRequest{Message: &configv1.WatchRequest_Nack{
			Nack: &configv1.Nack{Revision: u.GetRevision(), Digest: u.GetDigest(), Reason: reason},
		}}
	}
	s.deps.Holder.Swap(st)
	s.refused.clear()
	s.setRefusal("")
	if fresh {
		s.queueSave(u)
	}
	s.log.Info("configuration applied", zap.Uint64("revision", st.Revision), zap.Bool("unchanged", !fresh))
	return &configv1.WatchRequest{Message: &configv1.WatchRequest_Ack{
		Ack: &configv1.Ack{Revision: u.GetRevision(), Digest: u.GetDigest()},
	}}
}

// next 给出该换上的一版；fresh 说内容是不是新的。
func (s *Subscriber) next(u *configv1.SnapshotUpdate) (st *state.State, fresh bool, err error) {
	digest, ok := digestOf(u.GetDigest())
	if !ok {
		return nil, false, fmt.Errorf("digest is %d bytes, want %d", len(u.GetDigest()), sha256.Size)
	}
	current := s.deps.Holder.Load()
	if current != nil && current.Digest == digest {
		return current.WithRevision(u.GetRevision()), false, nil
	}
	if u.GetUnchanged() {
		return nil, false, errors.New("marked unchanged, but this node does not hold that content")
	}
	st, err = s.compile(u)
	return st, true, err
}

// compile 把一份消息变成 State：解压、核对摘要、解码、编译。panic 也只是失败。
func (s *Subscriber) compile(u *configv1.SnapshotUpdate) (*state.State, error) {
	return s.guard(func() (*state.State, error) {
		plain, err := decompress(u.GetEncoding(), u.GetSnapshot(), s.cfg.MaxSnapshotBytes)
		if err != nil {
			return nil, err
		}
		digest, ok := digestOf(u.GetDigest())
		if !ok || sha256.Sum256(plain) != digest {
			return nil, errors.New("digest does not match the content")
		}
		snap := &configv1.Snapshot{}
		if err := proto.Unmarshal(plain, snap); err != nil {
			return nil, fmt.Errorf("decode the snapshot: %w", err)
		}
		return state.Compile(u.GetRevision(), digest, snap)
	})
}

// guard 把 panic 变成错误；值可能带着配置的内容，因此对外只给类型。
func (s *Subscriber) guard(build func() (*state.State, error)) (st *state.State, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic while compiling a configuration", zap.String("type", fmt.Sprintf("%T", p)), zap.ByteString("stack", debug.Stack()))
			st, err = nil, fmt.Errorf("panic while compiling (%T)", p)
		}
	}()
	return build()
}

// decompress 解压至多 maxBytes 字节。
func decompress(enc configv1.Encoding, b []byte, maxBytes int) ([]byte, error) {
	switch enc {
	case configv1.Encoding_ENCODING_IDENTITY:
		if len(b) > maxBytes {
			return nil, fmt.Errorf("snapshot is larger than %d bytes", maxBytes)
		}
		return b, nil
	case configv1.Encoding_ENCODING_ZSTD:
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(maxBytes)))
		if err != nil {
			return nil, fmt.Errorf("start the decompressor: %w", err)
		}
		defer d.Close()
		plain, err := d.DecodeAll(b, nil)
		if err != nil {
			return nil, fmt.Errorf("decompress the snapshot: %w", err)
		}
		return plain, nil
	}
	return nil, fmt.Errorf("unknown encoding %d", int32(enc))
}

// maxReason 是原因的最大字节数：够列出几处毛病，又不至于撑大日志与状态。
const maxReason = 1_000

// oneLine 把错误写成一行、有界、可打印的文本。
func oneLine(err error) string { return printable(err.Error()) }

func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}
