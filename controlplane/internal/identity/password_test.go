package identity

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func cheap() Params { return Params{MemoryKiB: 64, Passes: 1} }

func newHasher(t *testing.T, p Params, parallel int) *Hasher {
	t.Helper()
	h, err := NewHasher(p, parallel)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHasher_OnlyTheRightPasswordMatchesItsHash(t *testing.T) {
	h := newHasher(t, cheap(), 0)
	rapid.Check(t, func(r *rapid.T) {
		a, b := rapid.String().Draw(r, "a"), rapid.String().Draw(r, "b")
		encoded, err := h.Hash(context.Background(), catalog.NewSecret(a))
		if err != nil {
			r.Fatal(err)
		}
		if ok, weak, err := h.Verify(context.Background(), encoded, catalog.NewSecret(b)); err != nil || ok != (a == b) || weak {
			r.Fatalf("%q against %q: %v %v %v", b, a, ok, weak, err)
		}
	})
}

func TestHasher_SaltsAndSaysWhenAHashIsWeak(t *testing.T) {
	h := newHasher(t, cheap(), 0)
	secret := catalog.NewSecret("correct horse battery")
	one, _ := h.Hash(t.Context(), secret)
	two, _ := h.Hash(t.Context(), secret)
	if one == two || !strings.HasPrefix(one, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatalf("%s %s", one, two)
	}
	stronger := newHasher(t, Params{MemoryKiB: 128, Passes: 2}, 0)
	if ok, weak, err := stronger.Verify(t.Context(), one, secret); !ok || !weak || err != nil {
		t.Fatalf("%v %v %v", ok, weak, err)
	}
	for _, bad := range []string{"x", "$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAA", "$argon2id$v=18$m=64,t=1,p=1$AAAA$AAAA", "$argon2id$v=19$m=0,t=0,p=1$AAAA$AAAA", "$argon2id$v=19$m=64,t=1,p=1$!$AAAA", one[:len(one)-4]} {
		if ok, _, err := h.Verify(t.Context(), bad, secret); ok || err == nil {
			t.Errorf("%q: %v %v", bad, ok, err)
		}
	}
}

// 不认得的账号若答得快，别人就问得出有谁。时间受机器左右，所以只要求同一个数量级；数字打印出来看。
func TestHasher_AnUnknownAccountCostsTheSameAsAWrongPassword(t *testing.T) {
	h := newHasher(t, Params{MemoryKiB: 4 << 10, Passes: 2}, 1)
	encoded, _ := h.Hash(t.Context(), catalog.NewSecret("correct horse battery"))
	once := func(encoded string) time.Duration {
		begin := time.Now()
		if ok, _, err := h.Verify(t.Context(), encoded, catalog.NewSecret("wrong")); ok || err != nil {
			t.Fatalf("%v %v", ok, err)
		}
		return time.Since(begin)
	}
	known, unknown := time.Hour, time.Hour
	for range 15 {
		known, unknown = min(known, once(encoded)), min(unknown, once(""))
	}
	fmt.Printf("figures: login_time known_us=%d unknown_us=%d\n", known.Microseconds(), unknown.Microseconds())
	if unknown < known/10 || known < unknown/10 {
		t.Errorf("known %v, unknown %v", known, unknown)
	}
}

func TestHasher_NeverMoreAtOnceThanItsSlotsAndRefusesACrowd(t *testing.T) {
	h := newHasher(t, cheap(), 2)
	// 占住两个名额，后来的都得等。
	for range 2 {
		if err := h.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	var crowded, canceled atomic.Int64
	for range 200 {
		waiting.Go(func() {
			_, err := h.Hash(ctx, catalog.NewSecret("x"))
			switch {
			case vegaerr.CodeOf(err) == vegaerr.Unavailable:
				crowded.Add(1)
			case err != nil:
				canceled.Add(1)
			}
		})
	}
	for h.waiting.Load()+crowded.Load() < 200 {
		time.Sleep(time.Millisecond)
	}
	if n := crowded.Load(); n != 200-2*waitingPerSlot {
		t.Errorf("%d refused, want %d", n, 200-2*waitingPerSlot)
	}
	cancel()
	waiting.Wait()
	if n := canceled.Load(); n != 2*waitingPerSlot {
		t.Errorf("%d gave up, want %d", n, 2*waitingPerSlot)
	}
	h.leave()
	h.leave()
	if _, err := h.Hash(t.Context(), catalog.NewSecret("x")); err != nil {
		t.Fatal(err)
	}
}

func TestCheckPassword_AsksForLengthNotForTricks(t *testing.T) {
	current := catalog.NewSecret("my present passphrase")
	for text, ok := range map[string]bool{
		"correct horse battery": true, "十二个字的口令也是够长的": true, "shorter-11c": false, "aaaaaaaaaaaaaaaa": false,
		"my present passphrase": false, "alice-1234567": false, "alice and a sentence of her own": true, "": false,
		strings.Repeat("x y", 100): false, "bad\xffutf8 password": false,
	} {
		if err := checkPassword("alice", current, catalog.NewSecret(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		} else if err != nil && (vegaerr.CodeOf(err) != vegaerr.Invalid || text != "" && strings.Contains(err.Error(), text)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSecrets_AreLongDifferentAndCannotBePrinted(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		for _, s := range []catalog.Secret{newToken(""), newToken(tokenPrefix), oneTime()} {
			text := s.Reveal()
			if seen[text] || len(text) < 23 || fmt.Sprintf("%v %+v %#v", s, s, s) != "[secret] [secret] [secret]" {
				t.Fatalf("%q", text)
			}
			seen[text] = true
		}
	}
	if !looksLikeToken(newToken("").Reveal(), "") || !looksLikeToken(newToken(tokenPrefix).Reveal(), tokenPrefix) || looksLikeToken("vt-short", tokenPrefix) {
		t.Error("a token does not look like one")
	}
	if a := (Account{Name: "alice", PasswordHash: "$argon2id$planted"}); strings.Contains(fmt.Sprintf("%v %+v %#v", a, a, a), "planted") {
		t.Error("an account prints its hash")
	}
	for range 100 {
		if id := newID(); !isID(id) || id[14] != '4' {
			t.Fatal(id)
		}
	}
	for _, bad := range []string{"", "x", "00000000-0000-0000-0000-00000000000G", "00000000_0000_0000_0000_000000000000"} {
		if isID(bad) {
			t.Errorf("%q", bad)
		}
	}
}
