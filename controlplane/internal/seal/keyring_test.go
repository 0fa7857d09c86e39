package seal

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func newKeyring(t testing.TB, primary []byte, older ...[]byte) *Keyring {
	t.Helper()
	k, err := NewKeyring(primary, older...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sealed(t testing.TB, k *Keyring, place Place, plaintext []byte) []byte {
	t.Helper()
	out, err := k.Seal(place, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var somewhere = Place{Table: "servers", Row: "gpu-1", Column: "api_key"}

func drawPlace(t *rapid.T, label string) Place {
	s := rapid.StringN(0, 8, -1)
	return Place{Table: s.Draw(t, label+".table"), Row: s.Draw(t, label+".row"), Column: s.Draw(t, label+".column")}
}

func TestOpen_IsTheInverseOfSeal(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), KeySize, KeySize).Draw(r, "key")
		plaintext := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(r, "plaintext")
		place := drawPlace(r, "place")
		k := newKeyring(t, key)
		box := sealed(t, k, place, plaintext)
		if len(box) != len(plaintext)+Overhead {
			r.Fatalf("sealed length %d", len(box))
		}
		got, err := k.Open(place, box)
		if err != nil || !bytes.Equal(got, plaintext) {
			r.Fatalf("Open: %x, %v", got, err)
		}
	})
}

func TestOpen_FailsAtEveryOtherPlace(t *testing.T) {
	k := newKeyring(t, GenerateKey())
	rapid.Check(t, func(r *rapid.T) {
		here, there := drawPlace(r, "here"), drawPlace(r, "there")
		if here == there {
			return
		}
		if _, err := k.Open(there, sealed(t, k, here, []byte("secret"))); !errors.Is(err, ErrTampered) {
			r.Fatalf("moved from %v to %v: %v", here, there, err)
		}
	})
	// 同样的字符换个分法，不能是同一个位置。
	box := sealed(t, k, Place{"ab", "c", "d"}, []byte("secret"))
	if _, err := k.Open(Place{"a", "bc", "d"}, box); !errors.Is(err, ErrTampered) {
		t.Errorf("shifted place: %v", err)
	}
}

func TestOpen_FailsOnEveryFlippedBit(t *testing.T) {
	k := newKeyring(t, GenerateKey())
	box := sealed(t, k, somewhere, []byte("sk-upstream"))
	for i := range 8 * len(box) {
		bad := slices.Clone(box)
		bad[i/8] ^= 1 << (i % 8)
		got, err := k.Open(somewhere, bad)
		if err == nil || got != nil {
			t.Fatalf("bit %d of byte %d flipped: opened %q", i%8, i/8, got)
		}
		var unknown *UnknownKeyError
		switch at := i / 8; {
		case at == 0 && !errors.Is(err, ErrFormat),
			at >= 1 && at < headerEnd && !errors.As(err, &unknown),
			at >= headerEnd && !errors.Is(err, ErrTampered):
			t.Fatalf("byte %d: wrong error %v", at, err)
		}
	}
}

func TestOpen_FailsWhenTruncatedOrExtended(t *testing.T) {
	k := newKeyring(t, GenerateKey())
	box := sealed(t, k, somewhere, []byte("sk-upstream"))
	for n := range box {
		if _, err := k.Open(somewhere, box[:n]); err == nil {
			t.Fatalf("opened the first %d bytes", n)
		}
	}
	if _, err := k.Open(somewhere, append(slices.Clone(box), 0)); !errors.Is(err, ErrTampered) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestOpen_RefusesPartsOfTwoValues(t *testing.T) {
	k := newKeyring(t, GenerateKey())
	a, b := sealed(t, k, somewhere, []byte("old secret")), sealed(t, k, somewhere, []byte("new secret"))
	if _, err := k.Open(somewhere, append(slices.Clone(a[:wrappedEnd]), b[wrappedEnd:]...)); !errors.Is(err, ErrTampered) {
		t.Errorf("key of one, body of the other: %v", err)
	}
}

func TestSeal_NeverRepeatsItself(t *testing.T) {
	k := newKeyring(t, GenerateKey())
	a, b := sealed(t, k, somewhere, []byte("same")), sealed(t, k, somewhere, []byte("same"))
	for _, part := range [][2]int{{headerEnd, wrappedAt}, {wrappedAt, wrappedEnd}, {wrappedEnd, bodyAt}, {bodyAt, len(a)}} {
		if bytes.Equal(a[part[0]:part[1]], b[part[0]:part[1]]) {
			t.Errorf("bytes %v are equal in two sealings", part)
		}
	}
	if bytes.Contains(a, []byte("same")) {
		t.Error("plaintext is visible")
	}
}

func TestKeyring_RotatesMasterKeys(t *testing.T) {
	oldKey, newKey := GenerateKey(), GenerateKey()
	before, during, after := newKeyring(t, oldKey), newKeyring(t, newKey, oldKey), newKeyring(t, newKey)
	box := sealed(t, before, somewhere, []byte("sk"))
	if before.NeedsReseal(box) || !during.NeedsReseal(box) {
		t.Error("NeedsReseal is wrong before resealing")
	}
	plain, err := during.Open(somewhere, box)
	if err != nil {
		t.Fatalf("an older key cannot open: %v", err)
	}
	fresh := sealed(t, during, somewhere, plain)
	if during.NeedsReseal(fresh) {
		t.Error("a fresh value needs resealing")
	}
	if got, err := after.Open(somewhere, fresh); err != nil || string(got) != "sk" {
		t.Errorf("without the old key: %q, %v", got, err)
	}

	_, err = after.Open(somewhere, box)
	var unknown *UnknownKeyError
	if !errors.As(err, &unknown) || unknown.KeyID != before.PrimaryID() || !strings.Contains(err.Error(), before.PrimaryID()) {
		t.Errorf("a missing key is reported as %v", err)
	}
}

func TestNeedsReseal_IsTrueForNonsense(t *testing.T) {
	k := newKeyring(t, GenerateKey())
	for _, box := range [][]byte{nil, {1}, bytes.Repeat([]byte{9}, 200)} {
		if !k.NeedsReseal(box) {
			t.Errorf("%x", box)
		}
	}
}

func TestNewKeyring_RefusesKeysOfWrongLength(t *testing.T) {
	for _, bad := range [][]byte{nil, make([]byte, 16), make([]byte, 33)} {
		if _, err := NewKeyring(bad); err == nil {
			t.Errorf("primary of %d bytes accepted", len(bad))
		}
		if _, err := NewKeyring(GenerateKey(), bad); err == nil {
			t.Errorf("older of %d bytes accepted", len(bad))
		}
	}
}

// 第 1 版的密文一经写进数据库，就必须永远打得开。
func TestOpen_ReadsTheFirstFormatForever(t *testing.T) {
	k := newKeyring(t, bytes.Repeat([]byte{0x42}, KeySize))
	if got, err := k.Open(somewhere, goldenV1(t)); err != nil || string(got) != "sk-golden" {
		t.Errorf("golden value: %q, %v", got, err)
	}
}

func FuzzOpen_NeverPanics(f *testing.F) {
	k := newKeyring(f, bytes.Repeat([]byte{7}, KeySize))
	f.Add(sealed(f, k, Place{}, []byte("x")))
	f.Add([]byte{1})
	f.Add(bytes.Repeat([]byte{1}, Overhead))
	f.Fuzz(func(t *testing.T, box []byte) {
		k.NeedsReseal(box)
		_, _ = k.Open(somewhere, box)
	})
}
