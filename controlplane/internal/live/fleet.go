package live

import (
	"reflect"
	"sync/atomic"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/push"
)

// Fleet 是全部节点与它们该到的版本。
type Fleet struct {
	Head  uint64
	Nodes []push.Node // 按 id 升序
}

const (
	// normalPace 是各主题多久算一次。
	normalPace = time.Second
	// eagerPace 是一版正推开时机队多久看一次；最多这样看 eagerFor。
	eagerPace = 250 * time.Millisecond
	eagerFor  = 15 * time.Second
	// quietPace 是只有最近音讯这类不打紧的变化时，多久发一份。
	quietPace = 5 * time.Second
)

// fleetDue 说机队变了的一份该不该发：版本、连着与否、摘出、错误当即发；在途与排队每秒至多一份；最近音讯不急。
func fleetDue(last, next any, since time.Duration) bool {
	a, b := last.(Fleet), next.(Fleet)
	if !reflect.DeepEqual(pressing(a), pressing(b)) {
		return true
	}
	// 轮询略早于一秒也算：否则每秒一份成了每两秒一份。
	if since >= normalPace-100*time.Millisecond && !reflect.DeepEqual(moving(a), moving(b)) {
		return true
	}
	return since >= quietPace && !reflect.DeepEqual(a, b)
}

// pressing 只留要紧的。
func pressing(f Fleet) Fleet {
	return each(f, func(n *push.Node) {
		n.LastSeen, n.InFlight, n.Waiting, n.Unreported = time.Time{}, 0, 0, 0
		if n.Journal != nil {
			j := *n.Journal
			j.Bytes, j.Unjournalled = 0, 0
			n.Journal = &j
		}
	})
}

// moving 只去掉最近音讯与磁盘上的字节数。
func moving(f Fleet) Fleet {
	return each(f, func(n *push.Node) {
		n.LastSeen = time.Time{}
		if n.Journal != nil {
			j := *n.Journal
			j.Bytes = 0
			n.Journal = &j
		}
	})
}

func each(f Fleet, edit func(n *push.Node)) Fleet {
	nodes := make([]push.Node, len(f.Nodes))
	for i, n := range f.Nodes {
		edit(&n)
		nodes[i] = n
	}
	f.Nodes = nodes
	return f
}

// converging 说还有连着的节点没有换上头，也没有拒绝它。
func converging(f Fleet) bool {
	for _, n := range f.Nodes {
		if n.Connected && n.AppliedRevision != f.Head && n.RejectedRevision != f.Head {
			return true
		}
	}
	return false
}

// tempo 决定机队多久看一次：头变了之后看得勤，直到人人换上或过了 eagerFor。
type tempo struct {
	// until 是看得勤到何时，Unix 纳秒。
	until atomic.Int64
	// spread 说最近一次看见的机队都换上了。
	spread atomic.Bool
}

// hurry 从此刻起看得勤。
func (t *tempo) hurry() {
	t.spread.Store(false)
	t.until.Store(time.Now().Add(eagerFor).UnixNano())
}

func (t *tempo) saw(f Fleet) { t.spread.Store(!converging(f)) }

func (t *tempo) pace() time.Duration {
	if !t.spread.Load() && time.Now().UnixNano() < t.until.Load() {
		return eagerPace
	}
	return normalPace
}
