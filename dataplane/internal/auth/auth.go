// Package auth 由请求头认出是哪把钥匙。
//
// 不做什么：不看模型准不准用（gateway 问 state），不限速，不记住任何人。
package auth

import (
	"net/http"
	"strings"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// maxSecret 是钥匙的最大长度（字节）；更长的不必去算它的 MAC。
const maxSecret = 256

const howTo = "send it as 'Authorization: Bearer <key>'"

// Identify 给出请求的钥匙，其 App 已启用、钥匙未过期。
//
// 凭证可在 Authorization: Bearer、api-key、x-api-key 里；同一把钥匙重复出现没有关系，
// 出现两把不同的则拒绝：猜哪一把算数，会让记账记到别人头上。
// 不认识、已撤销、已过期都答同样的 401，不透露是哪一种；state 按 MAC 查找，认不认识花的工夫一样。
func Identify(st *state.State, h http.Header, now time.Time) (*state.Key, error) {
	secret, err := credential(h)
	if err != nil {
		return nil, err
	}
	key, ok := st.Key(secret)
	if !ok || expired(key, now) {
		return nil, refuse("the API key is not valid: it is unknown, revoked or expired; check the key or create a new one")
	}
	if !key.App.Enabled {
		return nil, vegaerr.New(vegaerr.Denied, "app_disabled", "the app of this API key is disabled; ask its operator to enable it")
	}
	return key, nil
}

func expired(k *state.Key, now time.Time) bool {
	return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt)
}

// credential 取出唯一的凭证；空值等于没有写。
func credential(h http.Header) (string, error) {
	var found string
	for _, name := range [...]string{"Authorization", "Api-Key", "X-Api-Key"} {
		for _, value := range h[name] {
			secret, err := secretOf(name, value)
			if err != nil {
				return "", err
			}
			if secret == "" || secret == found {
				continue
			}
			if found != "" {
				return "", refuse("the request carries two different API keys; send only one, as 'Authorization: Bearer <key>'")
			}
			found = secret
		}
	}
	switch {
	case found == "":
		return "", refuse("no API key was given; " + howTo)
	case len(found) > maxSecret:
		return "", refuse("the API key is not valid: it is longer than any key; " + howTo)
	}
	return found, nil
}

func secretOf(name, value string) (string, error) {
	value = strings.TrimSpace(value)
	if name != "Authorization" || value == "" {
		return value, nil
	}
	scheme, secret, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", refuse("the Authorization scheme must be Bearer; " + howTo)
	}
	return strings.TrimSpace(secret), nil
}

func refuse(message string) error {
	return vegaerr.New(vegaerr.Unauthenticated, "invalid_api_key", "%s", message)
}
