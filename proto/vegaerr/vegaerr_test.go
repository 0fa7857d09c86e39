package vegaerr

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestGRPC_CodeReasonAndRetryAfterSurviveTheWire(t *testing.T) {
	for c := Invalid; c <= Internal; c++ {
		in := Wrap(errors.New("secret cause"), c, "some_reason", "say %s", "what").WithRetryAfter(1500 * time.Millisecond)
		wire := GRPC(fmt.Errorf("acting: %w", in))
		out := As(FromGRPC(wire))
		if out.Code != c || out.Reason != "some_reason" || out.Message != "say what" || out.RetryAfter != in.RetryAfter {
			t.Errorf("%v: got %+v", c, out)
		}
		if s, _ := status.FromError(wire); strings.Contains(s.Message(), "secret") {
			t.Errorf("%v: the cause left the process: %q", c, s.Message())
		}
	}
}

func TestGRPC_UnknownErrorIsInternalAndSilent(t *testing.T) {
	s, _ := status.FromError(GRPC(errors.New("password=hunter2")))
	if s.Code() != codes.Internal || strings.Contains(s.Message(), "hunter2") {
		t.Fatalf("got %v %q", s.Code(), s.Message())
	}
}

func TestAs_UnknownErrorHidesItsText(t *testing.T) {
	e := As(errors.New("boom"))
	if e.Code != Internal || strings.Contains(e.Message, "boom") || !strings.Contains(e.Error(), "boom") {
		t.Fatalf("got %+v", e)
	}
	if CodeOf(nil) != 0 || CodeOf(e) != Internal {
		t.Fatal("CodeOf")
	}
}
