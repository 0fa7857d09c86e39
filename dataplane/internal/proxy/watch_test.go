package proxy

import (
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
)

func TestWatch_FiringWhileItStopsDoesNotArmTheTimerAgain(t *testing.T) {
	var w watch
	w.begin(&state.Server{FirstByte: time.Hour, Idle: time.Hour, Total: time.Hour}, time.Time{}, func(error) {})
	w.stop()
	w.fire() // 定时器响的那一刻，attempt 正好结束
	if w.timer.Stop() {
		t.Fatal("the timer is armed again: it keeps the finished attempt alive until its deadline")
	}
}
