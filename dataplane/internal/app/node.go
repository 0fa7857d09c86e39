package app

import (
	"crypto/rand"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// nodeName 是节点名的形状：进日志、路径与主键，所以收得紧。
var nodeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,126}[a-z0-9])?$`)

var notNameByte = regexp.MustCompile(`[^a-z0-9.-]+`)

const nodeFile = "node-id"

// nodeID 给出稳定的节点名：设置里的，否则独占着的数据目录 dir 里上次的，否则主机名加随机数并记下来。
// dir 为空（没有独占）或记不下来时名字仍可用，只是下次会变：不是独占的目录里的名字，别的进程也许正用着。
func nodeID(cfg Config, dir string, log *zap.Logger) string {
	if cfg.NodeID != "" {
		return cfg.NodeID
	}
	id := newNodeID()
	if dir == "" {
		return id
	}
	if b, err := os.ReadFile(filepath.Join(dir, nodeFile)); err == nil {
		if kept := strings.TrimSpace(string(b)); nodeName.MatchString(kept) {
			return kept
		}
	}
	if err := keepFile(dir, nodeFile, id+"\n"); err != nil {
		log.Warn("node id cannot be kept and will change with the next start", zap.Error(err))
	}
	return id
}

func newNodeID() string {
	host, _ := os.Hostname()
	host = strings.Trim(notNameByte.ReplaceAllString(strings.ToLower(host), "-"), ".-")
	if host == "" {
		host = "node"
	}
	var b [4]byte
	rand.Read(b[:]) // 从不返回错误
	return host[:min(len(host), 100)] + "-" + hex.EncodeToString(b[:])
}

const instanceFile = "instance"

// instanceID 给出独占着的数据目录 dir 的编号，头一次随机造一个记下来。后一次运行给出同一个，控制面才敢认定前一次已经结束；
// 没有独占（dir 为空）或记不下的每次都不同。
func instanceID(dir string, log *zap.Logger) string {
	id := rand.Text()
	if dir == "" {
		return id
	}
	if b, err := os.ReadFile(filepath.Join(dir, instanceFile)); err == nil {
		if kept := strings.TrimSpace(string(b)); len(kept) == len(id) {
			return kept
		}
	}
	if err := keepFile(dir, instanceFile, id+"\n"); err != nil {
		log.Warn("instance id cannot be kept: after a crash the next start waits for its slots as if elsewhere", zap.Error(err))
	}
	return id
}

const epochFile = "epoch"

// nextEpoch 给出这一次运行的编号：墙上的钟，但比盘上记着的上一次大，并记下来。控制面以此认出同一节点的后一次运行，
// 所以钟往回拨过也不能变小；dir 为空即记不下，只靠钟。
func nextEpoch(dir string, log *zap.Logger) uint64 {
	epoch := uint64(time.Now().UnixNano())
	if dir == "" {
		return epoch
	}
	if b, err := os.ReadFile(filepath.Join(dir, epochFile)); err == nil {
		if last, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil && last < math.MaxUint64 {
			epoch = max(epoch, last+1)
		}
	}
	if err := keepFile(dir, epochFile, strconv.FormatUint(epoch, 10)+"\n"); err != nil {
		log.Warn("epoch cannot be kept: a clock set back would delay the next start's admission", zap.Error(err))
	}
	return epoch
}
