package adminapi

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

const maxNoteLength = 500

// only 拒绝不认识的查询参数：写错的 dryrun=true 若被放过，试算就成了真写。
func only(c echo.Context, known ...string) error {
	var problems []vegaerr.Problem
	for _, name := range slices.Sorted(maps.Keys(c.QueryParams())) {
		if !slices.Contains(known, name) {
			problems = append(problems, vegaerr.Problem{Path: name, Message: "unknown query parameter; known here: " + strings.Join(known, ", ")})
		}
	}
	if utf8.RuneCountInString(c.QueryParam("note")) > maxNoteLength {
		problems = append(problems, vegaerr.Problem{Path: "note", Message: "must have at most 500 characters"})
	}
	if len(problems) > 0 {
		return vegaerr.New(vegaerr.Invalid, "", "the query parameters cannot be used").WithProblems(problems)
	}
	return nil
}

func badParam(name, message string) error {
	return vegaerr.New(vegaerr.Invalid, "", "%s %s", name, message).
		WithProblems([]vegaerr.Problem{{Path: name, Message: message}})
}
