package admission

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/push"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

// table 是内存里的成员表；down 时每次写都失败，over 时任期已经归了别人。
type table struct {
	Seats
	mu         sync.Mutex
	down, over bool
	rows       map[string]schedule.Member
	forgotten  []string
	writes     int
	chunks     [][]string // 各次写成的节点名
}

func (m *table) LoadMembers(context.Context) ([]schedule.Member, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil, errors.New("down")
	}
	return nil, nil
}

func (m *table) SaveMembers(_ context.Context, _ Title, members []schedule.Member) (bool, error) {
	shares, names := 0, []string(nil)
	for _, x := range members {
		shares += len(x.Shares)
		names = append(names, x.Node)
	}
	if shares > chunkShares && len(members) > 1 || len(members) > chunkRows {
		return false, errors.New("too much for one statement")
	}
	return m.write(func() {
		m.chunks = append(m.chunks, names)
		for _, x := range members {
			m.rows[x.Node] = x
		}
	})
}

func (m *table) DeleteMembers(_ context.Context, _ Title, nodes []string) (bool, error) {
	return m.write(func() {
		for _, n := range nodes {
			delete(m.rows, n)
		}
	})
}

func (m *table) TouchMembers(_ context.Context, _ Title, connected []string) (Touched, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return Touched{}, errors.New("down")
	}
	forgotten := slices.DeleteFunc(slices.Clone(m.forgotten), func(n string) bool { return slices.Contains(connected, n) })
	missing := slices.DeleteFunc(slices.Clone(connected), func(n string) bool { _, kept := m.rows[n]; return kept })
	return Touched{Held: !m.over, Missing: missing, Forgotten: forgotten}, nil
}

func (m *table) write(change func()) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	if m.down {
		return false, errors.New("down")
	}
	if !m.over {
		change()
	}
	return !m.over, nil
}

func (m *table) set(down, over bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down, m.over = down, over
}

func (m *table) lose(node string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rows, node)
}

func (m *table) written() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes
}

func (m *table) nodes() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return sortedKeys(m.rows)
}

// newTestHost 造一个有配置而不参选的 Host。
func newTestHost(m *table) *Host {
	m.rows = make(map[string]schedule.Member)
	reg := prometheus.NewRegistry()
	h := New(Config{}, Deps{Store: m, Hub: push.NewHub(push.NewMetrics(prometheus.NewRegistry())), Metrics: NewMetrics(reg), Log: zap.NewNop()})
	h.spec = &schedule.Spec{Revision: 1, Servers: []schedule.ServerSpec{{Name: "gpu-1", Limits: schedule.Limits{MaxConcurrency: 4}, Total: time.Minute}}}
	return h
}

// lead 让 h 当任，返回那个任期与它怎样结束的。
func lead(t *testing.T, h *Host, l *Lease) (r *reign, ended chan error) {
	t.Helper()
	ended = make(chan error, 1)
	go func() { ended <- h.lead(t.Context(), l) }()
	synctest.Wait()
	if r = h.current(); r == nil {
		t.Fatal("not leading")
	}
	return r, ended
}

func lasting(d time.Duration) *Lease {
	l := newLease(Title{"me", 1}, time.Now().Add(d))
	l.First = true
	return l
}

func hello(node string) *admissionv1.AdmitRequest {
	return &admissionv1.AdmitRequest{NodeId: node, Epoch: 1, Stream: 1, Seq: 1, SentUs: 1, Hello: &admissionv1.Hello{}}
}

func TestReign_AFrozenLeaderSendsNothingWhenItWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(&table{})
		l := lasting(time.Minute)
		r, ended := lead(t, h, l)
		c := h.newConn(hello("n1"))
		l.extend(time.Now()) // 醒来时租期已经过了，而谁也还没有来得及说
		r.post(func() { r.open(c, hello("n1")) })
		if err := <-ended; !errors.Is(err, errExpired) {
			t.Errorf("ended with %v", err)
		}
		if len(c.out) != 0 || h.current() != nil || r.post(func() {}) {
			t.Errorf("%d frames, leading %v", len(c.out), h.current() != nil)
		}
	})
}

func TestReign_SavesUntilTheDatabaseAnswersAndWelcomesOnlyThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &table{}
		h := newTestHost(m)
		r, ended := lead(t, h, lasting(time.Hour))
		m.set(true, false)
		conns := make([]*conn, 3)
		for i := range conns {
			first := hello(fmt.Sprintf("n%d", i))
			conns[i] = h.newConn(first)
			r.post(func() { r.open(conns[i], first) })
			time.Sleep(400 * time.Millisecond)
		}
		synctest.Wait()
		if n := welcomes(conns); m.written() < 3 || n != 0 {
			t.Fatalf("%d writes, %d welcomed", m.written(), n)
		}
		m.set(false, false)
		time.Sleep(2 * saveRetryMax)
		synctest.Wait()
		if got, n := m.nodes(), welcomes(conns); !slices.Equal(got, []string{"n0", "n1", "n2"}) || n != 3 {
			t.Errorf("rows %v, %d welcomed", got, n)
		}
		r.end(errStopping)
		if err := <-ended; !errors.Is(err, errStopping) {
			t.Error(err)
		}
	})
}

// welcomes 数出几条流受到了欢迎，并取空它们的队列；没有确认的帧会重发。
func welcomes(conns []*conn) (n int) {
	for _, c := range conns {
		welcome := false
		for len(c.out) > 0 {
			welcome = (<-c.out).GetWelcome() || welcome
		}
		if welcome {
			n++
		}
	}
	return n
}

func TestReign_EndsWhenTheDatabaseSaysTheTermIsOver(t *testing.T) {
	for name, provoke := range map[string]func(*Host, *reign){
		"by a save":  func(h *Host, r *reign) { r.post(func() { r.open(h.newConn(hello("n1")), hello("n1")) }) },
		"by a touch": func(*Host, *reign) {},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := &table{over: true}
			h := newTestHost(m)
			r, ended := lead(t, h, lasting(time.Hour))
			provoke(h, r)
			if err := <-ended; !errors.Is(err, errNotOurs) {
				t.Errorf("%s: ended with %v", name, err)
			}
		})
	}
}

// 续期还成而成员表写不进：下一任会把还活着的当作早就不在，因此不再当任。
func TestReign_EndsWhenItCannotRecordWhoIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &table{}
		h := newTestHost(m)
		_, ended := lead(t, h, lasting(time.Hour))
		time.Sleep(time.Minute)
		m.set(true, false)
		began := time.Now()
		if err := <-ended; !errors.Is(err, errUnrecorded) || time.Since(began) > 2*schedule.RecordWithin {
			t.Errorf("ended with %v after %v", err, time.Since(began))
		}
	})
}

// 异步复制的数据库换了主，刚写的行没有了：当任者再写一遍，否则下一任不知道有这个节点。
func TestReign_WritesALostRowAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &table{}
		h := newTestHost(m)
		r, ended := lead(t, h, lasting(time.Hour))
		c := h.newConn(hello("n1"))
		r.post(func() { r.open(c, hello("n1")) })
		time.Sleep(time.Second)
		synctest.Wait()
		if got := m.nodes(); !slices.Equal(got, []string{"n1"}) {
			t.Fatalf("rows %v", got)
		}
		m.lose("n1")
		time.Sleep(2 * h.cfg.CheckEvery)
		synctest.Wait()
		if got := m.nodes(); !slices.Equal(got, []string{"n1"}) {
			t.Errorf("rows %v", got)
		}
		r.end(errStopping)
		<-ended
	})
}

func TestHost_GivesUpTheSeatWhenItCannotReadTheMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(&table{down: true})
		began := time.Now()
		if err := h.lead(t.Context(), lasting(time.Hour)); !errors.Is(err, errUnread) || time.Since(began) > 2*schedule.RecordWithin {
			t.Errorf("ended with %v after %v", err, time.Since(began))
		}
	})
}

func TestReign_DeletesTheRowOfAForgottenNodeItNeverHeardOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &table{forgotten: []string{"ghost"}}
		h := newTestHost(m)
		m.rows["ghost"] = schedule.Member{Node: "ghost"}
		r, ended := lead(t, h, lasting(time.Hour))
		time.Sleep(h.cfg.CheckEvery + time.Millisecond)
		synctest.Wait()
		if got := m.nodes(); len(got) != 0 {
			t.Errorf("rows %v", got)
		}
		r.end(errStopping)
		<-ended
	})
}

func TestReign_ReachesTheDeadlineItArmedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(&table{})
		r, ended := lead(t, h, lasting(time.Hour))
		c := h.newConn(hello("n1"))
		r.post(func() { r.open(c, hello("n1")) })
		time.Sleep(schedule.LeaseTTL + 2*time.Second) // 再也没有声音：租期到了就断开它
		synctest.Wait()
		if !c.isDropped() {
			t.Error("a silent node is still connected")
		}
		r.end(errStopping)
		<-ended
	})
}

func TestSaver_KeepsOnlyTheLastOfEachNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &table{}
		h := newTestHost(m)
		r, ended := lead(t, h, lasting(time.Hour))
		m.set(true, false)
		r.saver.save(101, []schedule.Member{{Node: "a", Epoch: 1}, {Node: "b", Epoch: 1}})
		time.Sleep(time.Millisecond) // 第一批在试着写，其余的等它
		r.saver.remove("a")
		r.saver.save(102, []schedule.Member{{Node: "a", Epoch: 2}})
		r.saver.remove("b")
		before := m.written()
		m.set(false, false)
		time.Sleep(2 * saveRetryMax)
		synctest.Wait()
		if got := m.nodes(); !slices.Equal(got, []string{"a"}) || m.rows["a"].Epoch != 2 {
			t.Errorf("rows %+v", m.rows)
		}
		if took := m.written() - before; took > 4 {
			t.Errorf("%d writes", took)
		}
		r.end(errStopping)
		<-ended
	})
}

func TestSaver_WritesALargeTableInChunksAndTheSmallRowsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &table{}
		h := newTestHost(m)
		r, ended := lead(t, h, lasting(time.Hour))
		var large, small []schedule.Member
		for i := range 10 {
			large = append(large, schedule.Member{Node: fmt.Sprintf("large-%d", i), Shares: make([]schedule.Units, 9_000)})
		}
		large = append(large, schedule.Member{Node: "huge", Shares: make([]schedule.Units, 3*chunkShares)})
		for i := range 2*chunkRows + 1 {
			small = append(small, schedule.Member{Node: fmt.Sprintf("small-%d", i)})
		}
		r.saver.save(101, large)
		r.saver.save(102, small)
		r.saver.remove("large-0") // 不在了的不必等它
		time.Sleep(time.Second)
		synctest.Wait()
		if got := len(m.nodes()); got != len(large)+len(small)-1 || len(r.saver.waits) != 0 || len(r.saver.rows) != 0 {
			t.Errorf("%d rows, %d saves and %d rows to go", got, len(r.saver.waits), len(r.saver.rows))
		}
		if len(m.chunks) < 8 || len(m.chunks[0]) != chunkRows || !slices.Equal(m.chunks[len(m.chunks)-1], []string{"huge"}) {
			t.Errorf("%d chunks, the first of %d rows, the last %v", len(m.chunks), len(m.chunks[0]), m.chunks[len(m.chunks)-1])
		}
		r.end(errStopping)
		<-ended
	})
}

func TestSaver_SaysSavedOnlyOnceEveryRowIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &table{}
		r, ended := lead(t, newTestHost(m), lasting(time.Hour))
		m.set(true, false)
		s := r.saver
		s.save(1, []schedule.Member{{Node: "a"}, {Node: "b"}})
		s.save(2, []schedule.Member{{Node: "b", Epoch: 2}})
		first, _ := s.next()
		s.save(3, []schedule.Member{{Node: "a", Epoch: 3}})
		left := func() (ids []uint64) {
			for _, w := range s.waits {
				ids = append(ids, w.id)
			}
			return ids
		}
		s.written(first[:1]) // 第一块里的 a 是旧的：第三次还没有写
		if got := left(); !slices.Equal(got, []uint64{1, 2, 3}) {
			t.Errorf("after a: %v", got)
		}
		s.written(first[1:])
		if got := left(); !slices.Equal(got, []uint64{3}) || s.rows["a"].member.Epoch != 3 {
			t.Errorf("after a and b: %v, rows %v", got, s.rows)
		}
		r.end(errStopping)
		<-ended
	})
}
