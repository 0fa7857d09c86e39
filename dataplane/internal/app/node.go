package app

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// nodeName 是节点名的形状：进日志、路径与主键，所以收得紧。
var nodeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,126}[a-z0-9])?$`)

var notNameByte = regexp.MustCompile(`[^a-z0-9.-]+`)

// nodeID 给出稳定的节点名：设置里的，否则数据目录里上次的，否则主机名加随机数并记下来。
// 记不下来时名字仍可用，只是下次会变；错误供调用者说出来。
func nodeID(cfg Config) (id string, err error) {
	if cfg.NodeID != "" {
		return cfg.NodeID, nil
	}
	path := filepath.Join(cfg.DataDir, "node-id")
	if b, err := os.ReadFile(path); err == nil {
		if id := strings.TrimSpace(string(b)); nodeName.MatchString(id) {
			return id, nil
		}
	}
	host, _ := os.Hostname()
	host = strings.Trim(notNameByte.ReplaceAllString(strings.ToLower(host), "-"), ".-")
	if host == "" {
		host = "node"
	}
	var b [4]byte
	rand.Read(b[:]) // 从不返回错误
	id = host[:min(len(host), 100)] + "-" + hex.EncodeToString(b[:])
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return id, fmt.Errorf("keep node id: %w", err)
	}
	return id, nil
}
