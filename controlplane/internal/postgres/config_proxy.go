package postgres

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/seal"
)

// sealedProxy 是封好的代理地址的开头；真的地址总以 http、https 或 socks5 开头。
const sealedProxy = "sealed:"

func proxyPlace(server string) seal.Place {
	return seal.Place{Table: "objects", Row: server, Column: "proxy_url"}
}

// sealSpecs 给出落盘用的 d：带用户信息的代理地址换成密文。原来的 d 不动。
func (v vault) sealSpecs(d catalog.Delta) (catalog.Delta, error) {
	d.Put = slices.Clone(d.Put)
	for i, o := range d.Put {
		spec, ok := o.Spec.(*catalog.ServerSpec)
		if !ok || !strings.Contains(spec.ProxyURL, "@") {
			continue
		}
		sealed, err := v.sealer.Seal(proxyPlace(spec.Name), []byte(spec.ProxyURL))
		if err != nil {
			return catalog.Delta{}, fmt.Errorf("seal proxy of server %q: %w", spec.Name, err)
		}
		stored := *spec
		stored.ProxyURL = sealedProxy + base64.RawURLEncoding.EncodeToString(sealed)
		d.Put[i].Spec = &stored
	}
	return d, nil
}

// openSpec 把 spec 里封着的代理地址换回原文；没有封的原样。
func (v vault) openSpec(spec *catalog.ServerSpec) error {
	text, ok := strings.CutPrefix(spec.ProxyURL, sealedProxy)
	if !ok {
		return nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("decode sealed proxy: %w", err)
	}
	plain, err := v.sealer.Open(proxyPlace(spec.Name), sealed)
	if err != nil {
		return fmt.Errorf("open sealed proxy: %w", err)
	}
	spec.ProxyURL = string(plain)
	return nil
}
