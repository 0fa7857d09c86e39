package upstreamtest

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestPatch_ChangesOnlyWhatItNames(t *testing.T) {
	p, err := ParsePatch("latency=200ms&chunks=64&no_done&header=A:%20b&header=C:%20d&usage=null")
	if err != nil {
		t.Fatal(err)
	}
	b := Behavior{Latency: time.Second, Text: "kept", Chunks: 1}
	p.Apply(&b)
	want := Behavior{Latency: 200 * time.Millisecond, Text: "kept", Chunks: 64, NoDone: true, Headers: []string{"A: b", "C: d"}, Usage: UsageNull}
	if !reflect.DeepEqual(b, want) {
		t.Fatalf("%+v", b)
	}
}

func TestPatch_EveryTaggedFieldCanBeSetBothWays(t *testing.T) {
	samples := map[string]string{"usage": "wrong", "drop": "fin", "half": "short", "encoding": "zstd", "status": "404"}
	typ := reflect.TypeFor[Behavior]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		key := f.Tag.Get("fake")
		if key == "" {
			continue
		}
		value := samples[key]
		if value == "" {
			value = map[reflect.Kind]string{reflect.Bool: "true", reflect.Int: "3", reflect.Int64: "3ms"}[f.Type.Kind()]
		}
		if value == "" {
			value = "text"
		}
		query, err := ParsePatch(key + "=" + value)
		if err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		quoted, _ := json.Marshal(map[string]string{key: value})
		var object Patch
		if err := json.Unmarshal(quoted, &object); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		var a, b Behavior
		query.Apply(&a)
		object.Apply(&b)
		if reflect.ValueOf(a).Field(i).IsZero() || !reflect.DeepEqual(a, b) {
			t.Errorf("%s: %+v and %+v", key, a, b)
		}
	}
}

func TestPatch_RefusesWhatItDoesNotKnow(t *testing.T) {
	for query, want := range map[string]string{
		"lattency=1s": "lattency", "latency=-1s": "latency", "chunks=x": "chunks", "chunks=1&chunks=2": "chunks",
		"usage=some": "usage", "chunks=-1": "range", "=x": `""`, "%zz": "directives",
	} {
		if _, err := ParsePatch(query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", query, err)
		}
	}
}

func FuzzParsePatch(f *testing.F) {
	f.Add("latency=200ms&chunks=64&no_done")
	f.Add("header=A:b&text=%E5")
	f.Fuzz(func(t *testing.T, query string) {
		p, err := ParsePatch(query)
		if err != nil {
			return
		}
		var b Behavior
		p.Apply(&b)
		if err := b.validate(); err != nil {
			t.Fatalf("%q was accepted but %v", query, err)
		}
	})
}

func FuzzPromptDirective(f *testing.F) {
	f.Add([]byte(`x [[fake?status=503\u0026chunks=2]] y`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if got := promptDirective(body); strings.Contains(got, "]]") {
			t.Fatalf("%q", got)
		}
	})
}

func TestCutText_PiecesAreWholeCharactersAndNeverEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := rapid.StringN(1, 40, -1).Draw(t, "source")
		n := rapid.IntRange(1, 50).Draw(t, "n")
		size := rapid.IntRange(0, 20).Draw(t, "size")
		pieces := cutText(source, n, size)
		if len(pieces) != n {
			t.Fatalf("%d pieces, want %d", len(pieces), n)
		}
		for _, p := range pieces {
			if p == "" || !utf8.ValidString(p) || (size >= utf8.UTFMax && len(p) > size) {
				t.Fatalf("piece %q of %q", p, source)
			}
		}
	})
}
