package adminapi

import (
	"strconv"
	"strings"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// etag 是强 ETag：版本号加引号。
func etag(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

// condition 是 If-Match；零值无条件。
type condition struct {
	set  bool
	tags []string
}

// ifMatch 读 If-Match：逗号分隔的强 ETag 或 *。弱 ETag 与别的写法从不相等。
func ifMatch(header *string) condition {
	if header == nil {
		return condition{}
	}
	c := condition{set: true}
	for tag := range strings.SplitSeq(*header, ",") {
		c.tags = append(c.tags, strings.TrimSpace(tag))
	}
	return c
}

// check 在写的事务里调用：have 是此刻的版本。
func (c condition) check(have uint64) error {
	if !c.set {
		return nil
	}
	for _, tag := range c.tags {
		if tag == "*" || tag == etag(have) {
			return nil
		}
	}
	return vegaerr.New(vegaerr.PreconditionFailed, "",
		"the ETag is now %s, not what If-Match names; read it again and repeat the change", etag(have))
}
