package inbox

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errCut = errors.New("cut")

// counting 给出 1..n，然后断。
func counting(n int) func() (int, error) {
	next := 0
	return func() (int, error) {
		if next == n {
			return 0, errCut
		}
		next++
		return next, nil
	}
}

func TestInbox_DeliversInOrderThenSaysWhyItBroke(t *testing.T) {
	var wg sync.WaitGroup
	in := Open(t.Context(), &wg, counting(3))
	for want := 1; want <= 3; want++ {
		if got := <-in.Messages(); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	}
	if err := <-in.Broken(); !errors.Is(err, errCut) {
		t.Error(err)
	}
	wg.Wait()
}

func TestReason_TakesAwayWhatNobodyWants(t *testing.T) {
	var wg sync.WaitGroup
	in := Open(t.Context(), &wg, counting(5))
	if err := in.Reason(); !errors.Is(err, errCut) {
		t.Error(err)
	}
	wg.Wait()
}

func TestInbox_EndsWithTheContextThoughNobodyTakes(t *testing.T) {
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	in := Open(ctx, &wg, counting(5))
	cancel()
	wg.Wait()
	if err := <-in.Broken(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
