package ops

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"
)

type settings struct {
	Name  string        `env:"VEGA_NAME" envDefault:"x"`
	Count int           `env:"VEGA_COUNT" envDefault:"1"`
	Level zapcore.Level `env:"VEGA_LEVEL" envDefault:"info"`
}

func TestEnvironment_ReadsAnyVariableFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "name")
	if err := os.WriteFile(path, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Environment[settings]([]string{"VEGA_NAME_FILE=" + path, "VEGA_COUNT=3", "VEGA_LEVEL="})
	if err != nil || got.Name != "from file" || got.Count != 3 || got.Level != zapcore.InfoLevel {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestEnvironment_WrongValueNamesTheVariableInOneLine(t *testing.T) {
	for _, environ := range [][]string{
		{"VEGA_COUNT=many"}, {"VEGA_LEVEL=loud"}, {"VEGA_NAME_FILE=/does/not/exist"}, {"VEGA_NAME=a", "VEGA_NAME_FILE=/b"},
	} {
		_, err := Environment[settings](environ)
		name, _, _ := strings.Cut(environ[0], "=")
		if err == nil || !strings.HasPrefix(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: got %v", environ, err)
		}
	}
}
