package identity

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRule_DelaysDoubleUpToTheCapAndNeverLockForever(t *testing.T) {
	r := AccountRule()
	now := time.Unix(1_800_000_000, 0)
	var tries Tries
	for n := 1; n <= 200; n++ {
		next, wait := r.Charge(tries, now)
		if wait != 0 {
			t.Fatalf("try %d at the time it was told: still %v", n, wait)
		}
		pause := next.FreeAt.Sub(now)
		switch {
		case n < r.Free && pause != 0, n == r.Free && pause != r.Base, pause > r.Cap, n > 20 && pause != r.Cap:
			t.Fatalf("after failure %d the pause is %v", n, pause)
		}
		if pause > 0 {
			if again, wait := r.Charge(next, now.Add(pause-time.Nanosecond)); wait <= 0 || again != next {
				t.Fatalf("too early after failure %d was charged", n)
			}
		}
		tries, now = next, now.Add(pause)
	}
	if next, _ := r.Charge(tries, now.Add(r.Forget+r.Cap+time.Second)); next.Failures != 1 {
		t.Errorf("old failures are not forgotten: %+v", next)
	}
}

func TestRule_OneHourOfGuessingGivesFewTries(t *testing.T) {
	tried := func(r Rule) (n int) {
		now := time.Unix(1_800_000_000, 0)
		end, tries := now.Add(time.Hour), Tries{}
		for now.Before(end) {
			next, wait := r.Charge(tries, now)
			if wait > 0 {
				now = now.Add(wait)
				continue
			}
			tries = next
			n++
		}
		return n
	}
	account, address := tried(AccountRule()), tried(AddressRule())
	fmt.Printf("figures: guesses_per_hour account=%d address=%d\n", account, address)
	if account > 80 || address > 100 {
		t.Errorf("account %d, address %d", account, address)
	}
}

func TestRule_NeverWaitsLongerThanTheCap(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		rule, now, tries := AddressRule(), time.Unix(1_800_000_000, 0), Tries{}
		for range rapid.IntRange(1, 300).Draw(r, "tries") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Minute)).Draw(r, "gap")))
			next, wait := rule.Charge(tries, now)
			if wait > rule.Cap || next.FreeAt.Sub(now) > rule.Cap {
				r.Fatalf("wait %v, next %v", wait, next.FreeAt.Sub(now))
			}
			tries = next
		}
	})
}

// 数据库的钟曾快了一天：那时记下的等待，钟拨回来之后不作数。
func TestRule_AClockSetBackDoesNotLockAnybodyOut(t *testing.T) {
	rule, now := AccountRule(), time.Unix(1_800_000_000, 0)
	fast, tries := now.Add(24*time.Hour), Tries{}
	for range 10 {
		tries, _ = rule.Charge(tries, fast)
		fast = tries.FreeAt
	}
	next, wait := rule.Charge(tries, now)
	if wait != 0 || next.FreeAt.Sub(now) > rule.Cap || next.Failures != 11 {
		t.Errorf("wait %v, next %+v", wait, next)
	}
}

func TestBuckets_AreBoundedAndKeepKindsApart(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	for i := range 100_000 {
		a := accountBucket(fmt.Sprint("name", i), "")
		if a.Number < 0 || a.Number >= buckets {
			t.Fatalf("account bucket %d", a.Number)
		}
	}
	if b := addressBucket(addr); b.Number < buckets || b.Number >= 2*buckets {
		t.Fatalf("address bucket %d", b.Number)
	}
	if accountBucket("admin", "").Number == accountBucket("admin", "192.0.2.1").Number {
		t.Error("a known address shares the bucket of the strangers")
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true}, {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true}, {"192.0.2.1", "192.0.2.2", false},
	} {
		if same := network(netip.MustParseAddr(c.a)) == network(netip.MustParseAddr(c.b)); same != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, same)
		}
	}
}
