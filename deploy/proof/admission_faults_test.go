package proof

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"
)

const (
	faultNodes   = 4
	faultLimit   = 20
	faultService = 500 * time.Millisecond
)

// besiege 让每个节点各有一群闭环的客户端，第 0 个十倍于别的；别的三个自己也够占满限额，故少了谁都仍然积压。
func (f *fleet) besiege() *crowd {
	const heavy, light = 100, 10
	crew := crew()
	return f.crowd(heavy+(faultNodes-1)*light, func(i int) aim {
		a := aim{app: crew[i%len(crew)].name}
		if a.model = "m-" + a.app; i >= heavy {
			a.node = 1 + (i-heavy)/light
		}
		return a
	})
}

// phase 是一次故障前后的一段：账与读数都从头算起。
type phase struct {
	f     *fleet
	c     *crowd
	m     *meter
	began time.Time
}

func (f *fleet) phase(c *crowd) *phase {
	f.up.ResetLedger()
	return &phase{f: f, c: c, m: f.watch(), began: time.Now()}
}

// end 打印这一段并要求从不越过限额；notes 是这一种故障自己的数字。
func (p *phase) end(name, notes string) {
	p.f.t.Helper()
	p.m.close()
	now := time.Now()
	n, most := count(p.c.since(p.began)), p.f.up.Stats().MaxInFlight
	figures("admission-faults case=%s limit=%d upstream_max_inflight=%d utilisation_all=%.4f longest_gap=%s served=%d refused=%d expired=%d broken=%d other=%d(%s) %s",
		name, faultLimit, most, p.m.mean(p.began, now)/faultLimit, short(gap(p.f.rows(nil), p.began, now)),
		n.ok, n.refused, n.expired, n.broken, n.other, n.sample, notes)
	if most > faultLimit {
		p.f.t.Errorf("%s: the upstream saw %d at once, the limit is %d", name, most, faultLimit)
	}
	if n.ok == 0 {
		p.f.t.Errorf("%s: nothing was served", name)
	}
}

// back 等利用率从 after 起回到 95 %，超过 patience 即失败。
func (p *phase) back(after time.Time, patience time.Duration) time.Duration {
	p.f.t.Helper()
	d := p.m.await(after, .95*faultLimit, patience+5*time.Second)
	if d < 0 || d > patience {
		p.f.t.Errorf("utilisation is not back at 95 %% within %s (took %s, -1ns: never)", patience, d)
	}
	return d
}

// warm 等到一切积压、满载。
func (p *phase) warm() {
	p.f.t.Helper()
	p.back(time.Now(), 20*time.Second)
}

// TestAdmission_Faults 在满载之下杀控制面、杀数据面、停住数据面：上游的在途从不越过限额。
//
// 停住的节点是唯一的漏洞：它若恰在“最后一次核对”与“把请求写进套接字”之间被冻住，冻得比租期加 2 秒还久，醒来就会写出一个
// 许可已经另有主人的请求；上游不认得任何号码，谁也拦不住。越过的至多是那个节点冻住时正在这两步之间的协程数，不超过它持有的许可。
// 隔离（strict）使这还要求冻得比 total_ms 更久。这里量的是冻 5 秒（短于租期）；全的一次再量冻 15 秒（长于租期，total_ms 8 秒）。
func TestAdmission_Faults(t *testing.T) {
	t.Parallel()
	f := newLimited(t, shape{nodes: faultNodes, outside: true}, faultLimit, faultService)
	c := f.besiege()

	p := f.phase(c)
	p.warm()
	time.Sleep(time.Duration(size(3, 20)) * time.Second)
	p.end("none", "")

	leaderKilled(f, c)
	nodeKilled(f, c)
	nodeStopped(f, c, 0, 5*time.Second) // 最忙的：名额轮到它的多，冻住不久就全在它手上
	nodeStopped(f, c, 1, 5*time.Second) // 不忙的：别人手上还有，要一直用着
	if size(0, 1) == 1 {
		nodeStopped(f, c, 0, 15*time.Second)
	}
}

func leaderKilled(f *fleet, c *crowd) {
	p := f.phase(c)
	killed := time.Now()
	f.Controlplane.Kill()
	time.Sleep(time.Second)
	if err := f.Controlplane.Start(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	ready := time.Now()
	granting := f.granting(ready)
	recovery := p.back(ready, 15*time.Second)
	p.back(granting, 5*time.Second)
	p.end("leader-killed", fmt.Sprintf("away=%s new_term_after_readyz=%s utilisation_without_leader=%.4f recovery_after_readyz=%s", short(ready.Sub(killed)),
		short(granting.Sub(ready)), p.m.mean(killed, granting)/faultLimit, short(recovery)))
}

// granting 等到有一个当任者在授予，给出那一刻。
func (f *fleet) granting(since time.Time) time.Time {
	f.t.Helper()
	for time.Since(since) < 30*time.Second {
		if l := f.queued().Leader; l.Term > 0 && !l.Learning {
			return time.Now()
		}
		time.Sleep(50 * time.Millisecond)
	}
	f.t.Fatal("nobody grants within 30 s")
	return time.Time{}
}

func nodeKilled(f *fleet, c *crowd) {
	p := f.phase(c)
	time.Sleep(2 * time.Second) // 让在途的都写在这一段的账上
	killed := time.Now()
	f.Dataplanes[0].Kill()
	atUpstream := held(f.rows(nil), 0, killed)
	time.Sleep(200 * time.Millisecond)
	quiet := time.Now()
	theirs := f.left(0, killed.Add(time.Second))
	used := p.m.mean(quiet, time.Now())
	if err := f.Dataplanes[0].Start(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	if err := f.AwaitReady(f.t.Context(), 0); err != nil {
		f.t.Fatal(err)
	}
	ready := time.Now()
	recovery := p.back(ready, 5*time.Second)
	p.end("node-killed", fmt.Sprintf("at_upstream_when_killed=%d quarantined=%.1f left_for_the_rest=%.1f in_flight_of_the_rest=%.2f down=%s recovery_after_ready=%s",
		atUpstream, faultLimit-theirs, theirs, used, short(ready.Sub(killed)), short(recovery)))
	f.busy(used, theirs)
}

// left 是节点 lost 不在时剩下归别人的名额，看到 until 为止的平均：他们手上的，加上还没有授予的。
// lost 占着的不只是它倒下时在上游的，还有在被察觉之前授予它的、归还没有送到的。
func (f *fleet) left(lost int, until time.Time) float64 {
	f.t.Helper()
	var others []int
	for i := range f.Dataplanes {
		if i != lost {
			others = append(others, i)
		}
	}
	sum, n := 0, 0
	for n == 0 || time.Now().Before(until) {
		sum, n = sum+f.queued().Free+f.sum("vega_admission_permits", others...), n+1
		time.Sleep(50 * time.Millisecond)
	}
	return float64(sum) / float64(n)
}

// busy 要求别人的名额有 95 % 在用；读数与账不在同一刻，放过十分之一个。
func (f *fleet) busy(used, theirs float64) {
	f.t.Helper()
	if used < .95*theirs-.1 {
		f.t.Errorf("%.2f in flight at the nodes that run, though %.1f are not held by the one that does not", used, theirs)
	}
}

func nodeStopped(f *fleet, c *crowd, node int, d time.Duration) {
	p := f.phase(c)
	time.Sleep(2 * time.Second)
	stopped := time.Now()
	f.Dataplanes[node].Signal(syscall.SIGSTOP)
	atUpstream := held(f.rows(nil), node, stopped)
	time.Sleep(2*time.Second + faultService) // 授予者察觉它没有声音，冻住时在上游的都已答完
	quiet := time.Now()
	theirs := f.left(node, stopped.Add(d))
	woken := time.Now()
	used := p.m.mean(quiet, woken)
	f.Dataplanes[node].Signal(syscall.SIGCONT)
	recovery := p.back(woken, 5*time.Second)
	p.end(fmt.Sprintf("node-%d-stopped-%s", node, d), fmt.Sprintf("at_upstream_when_stopped=%d held_by_the_stopped=%.1f left_for_the_rest=%.1f in_flight_of_the_rest=%.2f recovery_after_sigcont=%s",
		atUpstream, faultLimit-theirs, theirs, used, short(recovery)))
	f.busy(used, theirs)
}

// TestAdmission_Outage 让控制面与 PostgreSQL 在满载之下一起死一阵：从不越过，仍在服务；都回来之后很快满载。
//
// 租期（10 秒）之内照旧；之后各节点只用“持有的与份额”中小的一个，手上没有的答 503 no_server_available；
// 租期结束再过 total_ms 加 12 秒（各加 2 % 的钟差），才用足份额。这里 total_ms 是 8 秒，所以约 31 秒之后又是满载。
func TestAdmission_Outage(t *testing.T) {
	t.Parallel()
	f := newLimited(t, shape{nodes: faultNodes, outside: true}, faultLimit, faultService)
	c := f.besiege()
	p := f.phase(c)
	p.warm()
	from := time.Now()
	away := time.Duration(size(40, 120)) * time.Second
	f.pg.Kill()
	f.Controlplane.Kill()
	time.Sleep(away)
	to := time.Now()
	rows := f.rows(nil)
	whole := count(c.since(from))
	last := count(c.since(to.Add(-5 * time.Second)))
	if err := f.pg.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Controlplane.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ready := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := f.connected(ctx, faultNodes); err != nil {
		t.Fatal(err)
	}
	joined := time.Now()
	p.back(ready, 15*time.Second)
	recovery := p.back(joined, 5*time.Second)
	p.end("outage", fmt.Sprintf("away=%s goodput_before=%.1f/s goodput_away=%.1f/s goodput_last_5s=%.1f/s utilisation_away=%.4f utilisation_last_5s=%.4f recovery_after_readyz=%s recovery_after_nodes=%s",
		away, float64(faultLimit)/faultService.Seconds(), float64(whole.ok)/away.Seconds(), float64(last.ok)/5, p.m.mean(from, to)/faultLimit,
		p.m.mean(to.Add(-5*time.Second), to)/faultLimit, short(joined.Sub(ready)+recovery), short(recovery)))
	for i := range faultNodes {
		figures("admission-faults case=outage node=%d in_flight_when_it_ended=%d", i, held(rows, i, to))
	}
	if last.ok == 0 {
		t.Errorf("nothing was served in the last five seconds of the outage")
	}
}
