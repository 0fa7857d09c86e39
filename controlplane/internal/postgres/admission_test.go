package postgres

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/proto/schedule"
)

const seatTTL = time.Minute

func openAdmission(t *testing.T, s *Store) *Admission {
	t.Helper()
	a, err := s.OpenAdmission(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func testAdmission(t *testing.T) (*Admission, *Store) {
	t.Helper()
	s, _ := openTest(t)
	return openAdmission(t, s), s
}

// acquire 要求得到的任期恰是 want；0 即得不到。
func acquire(t *testing.T, a *Admission, holder string, ttl time.Duration, want uint64) admission.Title {
	t.Helper()
	term, err := a.AcquireSeat(t.Context(), admission.Claim{Holder: holder, Address: holder + ":9090", TTL: ttl})
	if err != nil || term != want {
		t.Fatalf("%s acquired term %d (%v), want %d", holder, term, err, want)
	}
	return admission.Title{Holder: holder, Term: term}
}

func expire(t *testing.T, s *Store) {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), "UPDATE admission_leader SET expires_at = clock_timestamp()"); err != nil {
		t.Fatal(err)
	}
}

func TestSeat_IsReadAsItStands(t *testing.T) {
	a, _ := testAdmission(t)
	if seat, err := a.ReadSeat(t.Context()); err != nil || seat != (admission.Seat{}) {
		t.Fatalf("before anyone: %+v, %v", seat, err)
	}
	acquire(t, a, "one", 6*time.Second, 1)
	seat, err := a.ReadSeat(t.Context())
	if expires := time.UnixMicro(seat.Expires); time.Until(expires) < 5*time.Second || time.Until(expires) > 7*time.Second {
		t.Errorf("expires at %v", expires)
	}
	if err != nil || seat.Holder != "one" || seat.Address != "one:9090" || seat.Term != 1 || seat.Left <= 5*time.Second || seat.Left > 6*time.Second {
		t.Fatalf("got %+v, %v", seat, err)
	}
}

func TestSeat_IsTakenOnlyWhenExpiredReleasedOrOnesOwn(t *testing.T) {
	a, s := testAdmission(t)
	acquire(t, a, "one", seatTTL, 1)
	acquire(t, a, "two", seatTTL, 0)
	one := acquire(t, a, "one", seatTTL, 2) // 自己的：任期照样加一
	expire(t, s)
	two := acquire(t, a, "two", seatTTL, 3)
	if held, err := a.RenewSeat(t.Context(), one, seatTTL); err != nil || held {
		t.Fatalf("the former leader renewed: %v %v", held, err)
	}
	if err := a.ReleaseSeat(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	acquire(t, a, "three", seatTTL, 0) // 从前的当任者交不出别人的
	if held, err := a.RenewSeat(t.Context(), two, seatTTL); err != nil || !held {
		t.Fatalf("the leader cannot renew: %v %v", held, err)
	}
	if err := a.ReleaseSeat(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if held, err := a.RenewSeat(t.Context(), two, seatTTL); err != nil || held {
		t.Fatalf("a late renewal revived a released seat: %v %v", held, err)
	}
	acquire(t, a, "three", seatTTL, 4)
}

func TestSeat_IsTakenFromOneWhoStandsStillOnlyAsItWasSeen(t *testing.T) {
	a, _ := testAdmission(t)
	one := acquire(t, a, "one", time.Hour, 1)
	seen, err := a.ReadSeat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	claim := admission.Claim{Holder: "two", TTL: seatTTL, Stale: seen}
	if held, err := a.RenewSeat(t.Context(), one, time.Hour); err != nil || !held {
		t.Fatalf("%v %v", held, err)
	}
	if term, err := a.AcquireSeat(t.Context(), claim); err != nil || term != 0 {
		t.Fatalf("taken although it was renewed: term %d %v", term, err)
	}
	if claim.Stale, err = a.ReadSeat(t.Context()); err != nil {
		t.Fatal(err)
	}
	if term, err := a.AcquireSeat(t.Context(), claim); err != nil || term != 2 {
		t.Fatalf("term %d %v", term, err)
	}
	if held, err := a.RenewSeat(t.Context(), one, time.Hour); err != nil || held {
		t.Fatalf("the former leader renewed: %v %v", held, err)
	}
}

func TestSeat_TermsPassWhatTheNodesHaveSeen(t *testing.T) {
	a, _ := testAdmission(t)
	term, err := a.AcquireSeat(t.Context(), admission.Claim{Holder: "one", TTL: seatTTL, AtLeast: 41})
	if err != nil || term != 42 {
		t.Fatalf("an empty table: %d %v", term, err)
	}
	term, err = a.AcquireSeat(t.Context(), admission.Claim{Holder: "one", TTL: seatTTL, AtLeast: 7})
	if err != nil || term != 43 {
		t.Fatalf("a smaller claim: %d %v", term, err)
	}
	term, err = a.AcquireSeat(t.Context(), admission.Claim{Holder: "one", TTL: seatTTL, AtLeast: 1 << 40})
	if err != nil || term != 1<<40+1 {
		t.Fatalf("a database that went back in time: %d %v", term, err)
	}
}

func TestSeat_OfManyWhoGrabAtOnceExactlyOneGetsIt(t *testing.T) {
	a, s := testAdmission(t)
	for round := range uint64(5) {
		var mu sync.Mutex
		var got []uint64
		var wg sync.WaitGroup
		for _, holder := range []string{"a", "b", "c", "d", "e", "f"} {
			wg.Go(func() {
				term, err := a.AcquireSeat(t.Context(), admission.Claim{Holder: holder, TTL: seatTTL})
				if err != nil {
					t.Error(err)
				}
				if term != 0 {
					mu.Lock()
					got = append(got, term)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if !slices.Equal(got, []uint64{round + 1}) {
			t.Fatalf("round %d: terms %v", round, got)
		}
		expire(t, s)
	}
}

func member(node string, epoch uint64) schedule.Member {
	return schedule.Member{Node: node, Epoch: epoch, Instance: "of-" + node, ShareVersion: 1<<63 + 5, SilentFor: 3 * time.Second, Shares: []schedule.Units{
		{Pool: schedule.Pool{Server: "gpu-1", Kind: schedule.InFlight}, N: 4}, {Pool: schedule.Pool{App: "团队", Kind: schedule.Tokens}, N: 1 << 40}}}
}

func TestMembers_ComeBackAsSavedWithTheirSilence(t *testing.T) {
	a, _ := testAdmission(t)
	title := acquire(t, a, "one", seatTTL, 1)
	saved := []schedule.Member{member("n1", 1<<63+9), {Node: "n2", Epoch: 2, Clear: true}}
	if held, err := a.SaveMembers(t.Context(), title, saved); err != nil || !held {
		t.Fatalf("%v %v", held, err)
	}
	got, err := a.LoadMembers(t.Context())
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v %v", got, err)
	}
	if silent := got[0].SilentFor; silent < 3*time.Second || silent > 6*time.Second {
		t.Errorf("n1 silent for %v", silent)
	}
	got[0].SilentFor, got[1].SilentFor = 3*time.Second, 0
	for i := range got {
		if got[i].Node != saved[i].Node || got[i].Epoch != saved[i].Epoch || got[i].Instance != saved[i].Instance || got[i].Clear != saved[i].Clear ||
			got[i].ShareVersion != saved[i].ShareVersion || !slices.Equal(got[i].Shares, saved[i].Shares) {
			t.Errorf("saved %+v\ngot   %+v", saved[i], got[i])
		}
	}
	if held, err := a.DeleteMembers(t.Context(), title, []string{"n1", "nobody"}); err != nil || !held {
		t.Fatalf("%v %v", held, err)
	}
	if got, err := a.LoadMembers(t.Context()); err != nil || len(got) != 1 || got[0].Node != "n2" {
		t.Fatalf("%+v %v", got, err)
	}
}

func TestMembers_ARowWhoseSharesCannotBeReadStaysAMember(t *testing.T) {
	for _, shares := range []string{`{"a": 1}`, `[{"server": "s", "kind": 9, "units": 1}]`, `[{"server": "s", "kind": 1, "units": -1}]`,
		`[{"kind": 1, "units": 1}]`, `[{"server": "s", "app": "a", "kind": 1, "units": 1}]`, `"x"`} {
		a, s := testAdmission(t)
		title := acquire(t, a, "one", seatTTL, 1)
		if held, err := a.SaveMembers(t.Context(), title, []schedule.Member{member("n1", 1), member("n2", 1)}); err != nil || !held {
			t.Fatalf("%v %v", held, err)
		}
		if _, err := s.pool.Exec(t.Context(), "UPDATE admission_members SET shares = $1 WHERE node_id = 'n1'", []byte(shares)); err != nil {
			t.Fatal(err)
		}
		got, err := a.LoadMembers(t.Context())
		if err != nil || len(got) != 2 || !got[0].UnknownShares || len(got[0].Shares) != 0 || got[1].UnknownShares || len(got[1].Shares) != 2 {
			t.Errorf("%s: %+v %v", shares, got, err)
		}
	}
}

func TestMembers_AFormerLeaderWritesNothing(t *testing.T) {
	a, s := testAdmission(t)
	stale := acquire(t, a, "one", seatTTL, 1)
	if held, err := a.SaveMembers(t.Context(), stale, []schedule.Member{member("n1", 1)}); err != nil || !held {
		t.Fatalf("%v %v", held, err)
	}
	expire(t, s)
	acquire(t, a, "two", seatTTL, 2)
	for name, title := range map[string]admission.Title{
		"former leader": stale, "right term, wrong holder": {Holder: "one", Term: 2}, "right holder, wrong term": {Holder: "two", Term: 1}} {
		if held, err := a.SaveMembers(t.Context(), title, []schedule.Member{member("n1", 9), member("n2", 9)}); err != nil || held {
			t.Errorf("%s saved: %v %v", name, held, err)
		}
		if held, err := a.DeleteMembers(t.Context(), title, []string{"n1"}); err != nil || held {
			t.Errorf("%s deleted: %v %v", name, held, err)
		}
		if got, err := a.TouchMembers(t.Context(), title, []string{"n1"}); err != nil || got.Held {
			t.Errorf("%s touched: %+v %v", name, got, err)
		}
	}
	got, err := a.LoadMembers(t.Context())
	if err != nil || len(got) != 1 || got[0].Epoch != 1 || got[0].SilentFor < 3*time.Second {
		t.Fatalf("%+v %v", got, err)
	}
}

// 一次写在提交之前握着那一行：下一任要等它写完，写完之后读到的成员才是全的。
func TestMembers_TheNextLeaderWaitsForAWriteUnderWay(t *testing.T) {
	a, s := testAdmission(t)
	title := acquire(t, a, "one", seatTTL, 1)
	expire(t, s)
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if held, err := (&Admission{q: s.q.WithTx(tx)}).SaveMembers(t.Context(), title, []schedule.Member{member("n1", 1)}); err != nil || !held {
		t.Fatalf("%v %v", held, err)
	}
	taken := make(chan []schedule.Member, 1)
	go func() {
		if term, err := a.AcquireSeat(t.Context(), admission.Claim{Holder: "two", TTL: seatTTL}); err != nil || term != 2 {
			t.Errorf("term %d %v", term, err)
		}
		members, err := a.LoadMembers(t.Context())
		if err != nil {
			t.Error(err)
		}
		taken <- members
	}()
	select {
	case <-taken:
		t.Fatal("the next leader did not wait")
	case <-time.After(200 * time.Millisecond):
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if members := <-taken; len(members) != 1 || members[0].Node != "n1" {
		t.Fatalf("the next leader read %+v", members)
	}
}

func TestMembers_TouchNamesTheRowsThatAreMissing(t *testing.T) {
	a, _ := testAdmission(t)
	title := acquire(t, a, "one", seatTTL, 1)
	if held, err := a.SaveMembers(t.Context(), title, []schedule.Member{member("n1", 1)}); err != nil || !held {
		t.Fatalf("%v %v", held, err)
	}
	got, err := a.TouchMembers(t.Context(), title, []string{"n3", "n1", "n2"})
	if err != nil || !got.Held || !slices.Equal(got.Missing, []string{"n2", "n3"}) {
		t.Fatalf("%+v %v", got, err)
	}
	if all, err := a.LoadMembers(t.Context()); err != nil || len(all) != 1 || all[0].SilentFor >= 3*time.Second {
		t.Errorf("%+v %v", all, err)
	}
}

func TestMembers_ForgottenOnceGoneAndNotWhileConnected(t *testing.T) {
	a, s := testAdmission(t)
	title := acquire(t, a, "one", seatTTL, 1)
	if held, err := a.SaveMembers(t.Context(), title, []schedule.Member{member("n1", 1), member("n2", 1)}); err != nil || !held {
		t.Fatalf("%v %v", held, err)
	}
	touch := func(want []string, connected ...string) {
		t.Helper()
		got, err := a.TouchMembers(t.Context(), title, append([]string{}, connected...))
		if err != nil || !got.Held || !slices.Equal(got.Forgotten, want) || len(got.Missing) != 0 {
			t.Fatalf("got %+v %v, want to forget %v", got, err, want)
		}
	}
	forget := func(node string) {
		t.Helper()
		gone := push.Report{Node: push.Node{ID: node, Epoch: 1, ConnectedAt: time.Now()}, Session: 1}
		if _, err := s.SaveNodes(t.Context(), "r", []push.Report{gone}); err != nil {
			t.Fatal(err)
		}
		if err := s.ForgetNode(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
	touch(nil)
	forget("n1")
	forget("n2")
	touch([]string{"n1"}, "n2") // n2 连着：那个记号作废
	touch([]string{"n1"})       // 直到删去之前每次都看得见
	if held, err := a.SaveMembers(t.Context(), title, []schedule.Member{member("n1", 1)}); err != nil || !held {
		t.Fatalf("%v %v", held, err)
	}
	touch([]string{"n1"}) // 同一轮运行的状态改了，不是回来了
	if held, err := a.SaveMembers(t.Context(), title, []schedule.Member{member("n1", 2)}); err != nil || !held {
		t.Fatalf("%v %v", held, err)
	}
	touch(nil) // 换了 epoch：回来了
}

func TestForgetNode_OfAConnectedNodeMarksNothing(t *testing.T) {
	a, s := testAdmission(t)
	title := acquire(t, a, "one", seatTTL, 1)
	if held, err := a.SaveMembers(t.Context(), title, []schedule.Member{member("n1", 1)}); err != nil || !held {
		t.Fatalf("%v %v", held, err)
	}
	live := push.Report{Node: push.Node{ID: "n1", Epoch: 1, Connected: true, ConnectedAt: time.Now()}, Session: 1}
	if _, err := s.SaveNodes(t.Context(), "r", []push.Report{live}); err != nil {
		t.Fatal(err)
	}
	if err := s.ForgetNode(t.Context(), "n1"); err == nil {
		t.Fatal("forgot a connected node")
	}
	if got, err := a.TouchMembers(t.Context(), title, []string{}); err != nil || len(got.Forgotten) != 0 {
		t.Fatalf("%+v %v", got, err)
	}
}

func TestForgetNode_AlsoForgetsTheRunsItReplacedElsewhere(t *testing.T) {
	a, s := testAdmission(t)
	title := acquire(t, a, "one", seatTTL, 1)
	if held, err := a.SaveMembers(t.Context(), title, []schedule.Member{member("n1", 3), member("n1@1", 1), member("n1@2", 2), member("n10", 1)}); err != nil || !held {
		t.Fatalf("%v %v", held, err)
	}
	gone := push.Report{Node: push.Node{ID: "n1", Epoch: 3, ConnectedAt: time.Now()}, Session: 1}
	if _, err := s.SaveNodes(t.Context(), "r", []push.Report{gone}); err != nil {
		t.Fatal(err)
	}
	if err := s.ForgetNode(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	if got, err := a.TouchMembers(t.Context(), title, []string{}); err != nil || !slices.Equal(got.Forgotten, []string{"n1", "n1@1", "n1@2"}) {
		t.Fatalf("to forget: %v %v", got, err)
	}
}
