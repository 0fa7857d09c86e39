package oidc

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Lifetime 是在提供方那里可以花多久。
const Lifetime = 10 * time.Minute

// Flow 是一次登录在浏览器那里的半份：回调时与提供方带回来的对照。
type Flow struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	// ReturnTo 是登录之后去的页面，只是本站的路径。
	ReturnTo string    `json:"return_to"`
	Expires  time.Time `json:"expires"`
}

func newFlow(returnTo string, now time.Time) Flow {
	return Flow{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), ReturnTo: localPath(returnTo), Expires: now.Add(Lifetime)}
}

// Encode 写成 cookie 的值。
func (f Flow) Encode() string {
	b, err := json.Marshal(f)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// DecodeFlow 是 Encode 的逆；读不出来、缺了什么都是假。
func DecodeFlow(text string) (f Flow, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(b, &f) != nil {
		return Flow{}, false
	}
	f.ReturnTo = localPath(f.ReturnTo)
	return f, f.State != "" && f.Nonce != "" && f.Verifier != ""
}

func (f Flow) matches(state string, now time.Time) bool {
	return f.State != "" && subtle.ConstantTimeCompare([]byte(f.State), []byte(state)) == 1 && now.Before(f.Expires)
}

// localPath 只留本站的路径：别人给的链接不该借我们的登录把人送到别处。
func localPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(text, "/") ||
		strings.HasPrefix(text, "//") || strings.ContainsAny(text, "\\\r\n\t") {
		return "/"
	}
	return text
}
