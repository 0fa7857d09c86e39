package identity

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Hasher 算口令的散列，同时算的有上限。
type Hasher struct {
	params Params
	// slots 是名额；waiting 是在等的人数。
	slots   chan struct{}
	waiting atomic.Int64
	// dummy 是没有谁的口令：不认得的账号也对它验一遍，花一样的时间。
	dummy stored
}

// waitingPerSlot 是一个名额前至多排几个人：再多的等到算完也没有人在看了。
const waitingPerSlot = 32

// NewHasher 造一个 Hasher；params 与 parallel 为零取缺省（32 MiB × 3 遍，同时 2 个）。
func NewHasher(params Params, parallel int) (*Hasher, error) {
	if params == (Params{}) {
		params = defaultParams()
	}
	if parallel == 0 {
		parallel = 2
	}
	dummy, err := parseHash(params.hash(newToken("").Reveal()))
	if err != nil {
		return nil, fmt.Errorf("make the dummy hash: %w", err)
	}
	return &Hasher{params: params, slots: make(chan struct{}, parallel), dummy: dummy}, nil
}

// enter 等一个名额；ctx 先结束、或等的人太多是错误。
func (h *Hasher) enter(ctx context.Context) error {
	if h.waiting.Add(1) > int64(cap(h.slots)*waitingPerSlot) {
		h.waiting.Add(-1)
		return vegaerr.New(vegaerr.Unavailable, "", "too many sign-ins at once; try again")
	}
	defer h.waiting.Add(-1)
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Hasher) leave() { <-h.slots }

// Hash 给出 password 的散列。
func (h *Hasher) Hash(ctx context.Context, password catalog.Secret) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	return h.params.hash(password.Reveal()), nil
}

// Verify 对照 password 与散列；encoded 为空（没有这个人，或他没有口令）照样算一遍，答不对。
// weak 说散列是以现在不用的参数算的，应当重算。
func (h *Hasher) Verify(ctx context.Context, encoded string, password catalog.Secret) (ok, weak bool, err error) {
	have, known := h.dummy, encoded != ""
	if known {
		if have, err = parseHash(encoded); err != nil {
			return false, false, vegaerr.Wrap(err, vegaerr.Internal, "", "the stored password cannot be read")
		}
	}
	if err := h.enter(ctx); err != nil {
		return false, false, err
	}
	defer h.leave()
	ok = have.matches(password.Reveal())
	return ok && known, have.Params != h.params, nil
}
