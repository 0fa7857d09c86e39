package usage

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Position 是由新到旧的次序里的一处：先比 EndedAt，再按字节比 ID。零值在最新的之前。
type Position struct {
	EndedAt time.Time
	ID      string
}

// At 是 r 的位置。
func (r Request) At() Position { return Position{EndedAt: r.EndedAt, ID: r.ID} }

const (
	cursorVersion = 1
	cursorHead    = 1 + 8
	cursorSum     = 8
)

// cursor 是不透明的：版本、微秒、id，加上连同筛选一起算的校验和。换了筛选的游标指的是另一串结果，因此不认。
func (p Position) cursor(f RequestFilter) string {
	b := make([]byte, cursorHead, cursorHead+len(p.ID)+cursorSum)
	b[0] = cursorVersion
	binary.BigEndian.PutUint64(b[1:], uint64(p.EndedAt.UnixMicro()))
	b = append(b, p.ID...)
	return base64.RawURLEncoding.EncodeToString(append(b, checksum(b, f)...))
}

func parsePosition(cursor string, f RequestFilter) (Position, error) {
	if cursor == "" {
		return Position{}, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) < cursorHead+cursorSum || b[0] != cursorVersion {
		return Position{}, badCursor()
	}
	body, sum := b[:len(b)-cursorSum], b[len(b)-cursorSum:]
	if !bytes.Equal(sum, checksum(body, f)) {
		return Position{}, badCursor()
	}
	return Position{EndedAt: time.UnixMicro(int64(binary.BigEndian.Uint64(body[1:]))).UTC(), ID: string(body[cursorHead:])}, nil
}

// checksum 防的是抄错与改错，不是伪造：游标里没有谁不能看的东西。
func checksum(body []byte, f RequestFilter) []byte {
	f.From, f.To = f.From.UTC(), f.To.UTC()
	filter, _ := json.Marshal(f) // 都是可以编码的类型
	h := sha256.New()
	h.Write(body)
	h.Write(filter)
	return h.Sum(nil)[:cursorSum]
}

func badCursor() error {
	return invalidRequests(vegaerr.Problem{Path: "cursor", Message: "must be the next_cursor of an earlier page with the same filters"})
}
