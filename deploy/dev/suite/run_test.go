package main

import (
	"errors"
	"strings"
	"testing"
)

func TestVerdict_FailsWhenAGroupDidNotRun(t *testing.T) {
	g := group{name: "x", must: []string{"TestNeeded"}}
	ok := tally{passed: 1, seen: map[string]bool{"TestNeeded": true}}
	for name, c := range map[string]struct {
		t    tally
		err  error
		want string
	}{
		"all well":       {ok, nil, ""},
		"nothing ran":    {tally{}, nil, "no test ran"},
		"skipped":        {tally{passed: 1, skipped: 1}, nil, "skipped"},
		"failed":         {tally{passed: 1, failed: 1}, nil, "failed"},
		"needed missing": {tally{passed: 1}, nil, "TestNeeded did not run"},
		"go test broke":  {ok, errors.New("exit status 2"), "exit status 2"},
	} {
		err := verdict(g, c.t, c.err)
		if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestRead_CountsSubtestsAndBuildFailures(t *testing.T) {
	got := read(strings.NewReader(`{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}
{"Action":"fail","Package":"broken"}
`))
	if got.passed != 2 || got.skipped != 1 || got.failed != 1 || !got.seen["TestA"] {
		t.Fatalf("got %+v", got)
	}
}

func TestSlowest_NamesWholeTestsUnlessThereIsOnlyOne(t *testing.T) {
	many := read(strings.NewReader(`{"Action":"pass","Package":"p","Test":"TestA/sub","Elapsed":9}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":9.4}
{"Action":"pass","Package":"p","Test":"TestB","Elapsed":20}
`))
	one := read(strings.NewReader(`{"Action":"pass","Package":"p","Test":"TestA/x.spec.ts","Elapsed":3}
{"Action":"pass","Package":"p","Test":"TestA/y.spec.ts","Elapsed":8}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":11}
`))
	if a, b := many.slowest(), one.slowest(); a != "TestB 20s, TestA 9s" || b != "TestA/y.spec.ts 8s, TestA/x.spec.ts 3s" {
		t.Fatalf("%q, %q", a, b)
	}
}
