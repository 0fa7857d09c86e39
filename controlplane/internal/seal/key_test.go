package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseKey_ReadsEveryCommonForm(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), KeySize, KeySize).Draw(r, "key")
		for _, text := range []string{
			FormatKey(key),
			strings.ToUpper(hex.EncodeToString(key)),
			base64.StdEncoding.EncodeToString(key),
			base64.RawStdEncoding.EncodeToString(key),
			base64.URLEncoding.EncodeToString(key),
			base64.RawURLEncoding.EncodeToString(key),
			" " + hex.EncodeToString(key) + "\n",
		} {
			got, err := ParseKey(text)
			if err != nil || !bytes.Equal(got, key) {
				r.Fatalf("%q: %x, %v", text, got, err)
			}
		}
	})
}

func TestParseKey_SaysHowToMakeOneAndKeepsTheSecret(t *testing.T) {
	for _, text := range []string{"", "hunter2", strings.Repeat("ab", 31), strings.Repeat("ab", 33), strings.Repeat("zz", 32), "\x00"} {
		_, err := ParseKey(text)
		if err == nil {
			t.Errorf("%q accepted", text)
			continue
		}
		if !strings.Contains(err.Error(), "openssl rand -hex 32") {
			t.Errorf("%q: %v", text, err)
		}
		if text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats the input %q", text)
		}
	}
}

func FuzzParseKey_YieldsThirtyTwoBytesOrAnError(f *testing.F) {
	for _, s := range []string{"", strings.Repeat("0", 64), strings.Repeat("A", 43) + "=", "=\n=", strings.Repeat("_", 44)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := ParseKey(text)
		if err == nil && len(key) != KeySize {
			t.Fatalf("%q: %d bytes", text, len(key))
		}
	})
}
