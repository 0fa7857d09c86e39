package cli

import (
	"io"
	"os"
	"path/filepath"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// LoadFile 读 vega.yaml（"-" 为 stdin），换掉 ca_file 与 api_key_env，给出可以送出的 JSON。
// 相对的 ca_file 以 vega.yaml 所在的目录为起点。不合规矩是 vegaerr.Invalid，逐处列出。
func LoadFile(path string, stdin io.Reader, getenv func(string) (string, bool)) ([]byte, error) {
	data, base, err := readSource(path, stdin)
	if err != nil {
		return nil, vegaerr.Wrap(err, vegaerr.Invalid, "", "cannot read the file: %v", err)
	}
	document, err := catalog.YAMLToJSON(data)
	if err != nil {
		return nil, err
	}
	readFile := func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(base, name)
		}
		return os.ReadFile(name)
	}
	return catalog.Resolve(document, readFile, getenv)
}

func readSource(path string, stdin io.Reader) (data []byte, base string, err error) {
	if path == "-" {
		data, err = io.ReadAll(stdin)
		return data, ".", err
	}
	data, err = os.ReadFile(path)
	return data, filepath.Dir(path), err
}
