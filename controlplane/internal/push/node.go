package push

import (
	"strconv"
	"time"
)

// Node 是 GET /nodes 的一行：一个数据面节点此刻的样子。
type Node struct {
	ID      string
	Epoch   uint64
	Version string
	// Replica 是握着它的流的那个控制面副本；断开之后是最后一个。
	Replica string
	// Connected 为真当且仅当流还在且 LastSeen 不早于 10 秒前。
	Connected bool
	// ConnectedAt 是这条流建立的时刻，用的是握着它的副本的钟。
	ConnectedAt time.Time
	// LastSeen 是最后一条消息到来的时刻，用的是数据库的钟。
	LastSeen time.Time

	AppliedRevision uint64
	AppliedDigest   []byte
	// RejectedRevision 非零表示节点拒绝了这一版而仍在用 AppliedRevision；RejectedReason 是它给的理由。
	RejectedRevision uint64
	RejectedReason   string

	InFlight   int64
	Waiting    int64
	Unreported int64
	Draining   bool
	Ejections  []Ejection
	// LastError 是一行给运维看的英文：先是被拒的版本与理由，没有则是节点自报的最近一次错误。
	LastError string
	// Journal 是它的用量记录落在哪里；nil 即它没有说。
	Journal *Journal
}

// Journal 是一个节点的用量记录此刻落在哪里。
type Journal struct {
	Durable      bool   `json:"durable"`
	Trouble      string `json:"trouble"`
	Bytes        int64  `json:"bytes"`
	Unjournalled int64  `json:"unjournalled"`
}

// Ejection 是节点此刻摘出的一个目标。
type Ejection struct {
	Server        string    `json:"server"`
	UpstreamModel string    `json:"upstream_model"`
	Reason        string    `json:"reason"`
	Until         time.Time `json:"until"`
	// Since 是这一轮第一次被摘出的时刻；零值即节点没有说。
	Since time.Time `json:"since,omitzero"`
}

// Outcome 是 WaitApplied 的回答；三者都按节点名升序，互不重叠。
type Outcome struct {
	Applied  []string
	Pending  []string
	Rejected []Rejection
}

// Rejection 是一个节点拒绝一版配置的理由。
type Rejection struct {
	Node  string
	Error string
}

// DescribeError 把拒绝与自报的错误并成一行；都没有则为空。
func DescribeError(rejectedRevision uint64, rejectedReason, reported string) string {
	if rejectedRevision == 0 {
		return reported
	}
	return "revision " + strconv.FormatUint(rejectedRevision, 10) + " rejected: " + rejectedReason
}
