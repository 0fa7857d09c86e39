package controltest

import (
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

// Pepper 是 Key 所用的 pepper；用了 Key 的快照要把它写进 KeyPepper。
const Pepper = "pepper-for-tests"

// Key 是 app 的一把钥匙，名字与 id 都是 id，客户端出示 secret。
func Key(id, app, secret string) *configv1.Key {
	mac := ruleset.KeyMAC([]byte(Pepper), secret)
	return &configv1.Key{Id: id, App: app, Name: id, Mac: mac[:]}
}
