package app

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.uber.org/zap"
)

// nodeName 是节点名的形状：进日志、路径与主键，所以收得紧。
var nodeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,126}[a-z0-9])?$`)

var notNameByte = regexp.MustCompile(`[^a-z0-9.-]+`)

const nodeFile = "node-id"

// nodeID 给出稳定的节点名：设置里的，否则数据目录里上次的，否则主机名加随机数并记下来。
// 记不下来时名字仍可用，只是下次会变。
func nodeID(cfg Config, log *zap.Logger) string {
	if cfg.NodeID != "" {
		return cfg.NodeID
	}
	if b, err := os.ReadFile(filepath.Join(cfg.DataDir, nodeFile)); err == nil {
		if id := strings.TrimSpace(string(b)); nodeName.MatchString(id) {
			return id
		}
	}
	id := newNodeID()
	if err := keepFile(cfg.DataDir, nodeFile, id+"\n"); err != nil {
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

func randomEpoch() uint64 {
	var b [8]byte
	rand.Read(b[:]) // 从不返回错误
	return binary.LittleEndian.Uint64(b[:])
}
