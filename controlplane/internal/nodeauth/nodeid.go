package nodeauth

import "github.com/vega-gateway/vega/proto/vegaerr"

const maxNodeID = 128

// CheckNodeID 判断节点名：小写字母、数字、点与短横，首尾是字母或数字，1 至 128 字节；否则 vegaerr.Invalid。
func CheckNodeID(id string) error {
	if id == "" || len(id) > maxNodeID {
		return badNodeID(id)
	}
	for i := range len(id) {
		c := id[i]
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		inner := i > 0 && i < len(id)-1 && (c == '.' || c == '-')
		if !alnum && !inner {
			return badNodeID(id)
		}
	}
	return nil
}

func badNodeID(id string) error {
	return vegaerr.New(vegaerr.Invalid, "invalid_node_id",
		"node id %.64q must be 1 to %d characters of a-z, 0-9, '.' and '-', beginning and ending with a letter or digit", id, maxNodeID)
}
