package catalog

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"

	yamlv2 "go.yaml.in/yaml/v2"
	"sigs.k8s.io/yaml"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// YAMLToJSON 把 vega.yaml 变成 JSON。错误是 vegaerr.Invalid，文本带行号；重复的键、多份文档都被拒绝。
func YAMLToJSON(data []byte) ([]byte, error) {
	if err := oneDocument(data); err != nil {
		return nil, yamlError(err)
	}
	out, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, yamlError(err)
	}
	return out, nil
}

var errManyDocuments = errors.New("yaml: the file holds more than one document; remove everything after the second \"---\"")

// oneDocument 拒绝第二份文档：转换只读第一份，后面的会悄悄丢掉。
func oneDocument(data []byte) error {
	d := yamlv2.NewDecoder(bytes.NewReader(data))
	for n := 0; ; n++ {
		var doc any
		switch err := d.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n > 0:
			return errManyDocuments
		}
	}
}

// yamlText 匹配 "line 3: …"，即一处错误。
var yamlText = regexp.MustCompile(`line \d+: .*`)

func yamlError(err error) error {
	var p problems
	for _, line := range strings.Split(err.Error(), "\n") {
		if found := yamlText.FindString(line); found != "" {
			p.add("", "malformed YAML: %s", found)
		}
	}
	if len(p) == 0 {
		p.add("", "malformed YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return vegaerr.Wrap(err, vegaerr.Invalid, "", "the YAML cannot be read").WithProblems(p)
}
