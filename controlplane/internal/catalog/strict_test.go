package catalog_test

import (
	"strings"
	"testing"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestDecode_ListsEveryErrorAndTakesSecrets(t *testing.T) {
	type form struct {
		Name     string         `json:"name"`
		Password catalog.Secret `json:"password"`
		Enabled  *bool          `json:"enabled"`
		Tags     []string       `json:"tags"`
	}
	var got form
	if err := catalog.Decode([]byte(`{"name":"a","password":"p","enabled":false,"tags":["x"]}`), &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != "a" || got.Password.Reveal() != "p" || got.Enabled == nil || *got.Enabled || len(got.Tags) != 1 {
		t.Fatalf("got %+v", got)
	}
	err := catalog.Decode([]byte(`{"name":7,"Password":"planted","tags":[1],"name":"b"}`), &form{})
	e := vegaerr.As(err)
	if e.Code != vegaerr.Invalid || len(e.Problems) != 4 || strings.Contains(err.Error(), "planted") {
		t.Fatalf("%v %+v", err, e.Problems)
	}
}
