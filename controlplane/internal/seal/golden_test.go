package seal

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// goldenV1 是 testdata 里一份以 32 个 0x42 为主密钥、在 somewhere 封好的 "sk-golden"。
func goldenV1(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/sealed-v1.hex")
	if err != nil {
		t.Fatal(err)
	}
	box, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return box
}
