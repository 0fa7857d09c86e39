// Package issuertest 是测试用的 OIDC 提供方：真的 HTTP 服务，由测试说下一个登录的人是谁、哪里要出错。
//
// 它照规矩核对客户端：PKCE、redirect_uri、client_secret、授权码只用一次。
package issuertest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// 客户端的登记。
const (
	ClientID     = "vega"
	ClientSecret = "planted-client-secret"
)

// Issuer 是提供方。
type Issuer struct {
	URL string

	key *rsa.PrivateKey

	mu sync.Mutex
	// claims 是下一个登录的人，userinfo 是只在 userinfo 里给的。
	claims, userinfo map[string]any
	// spoil 改坏下一个 ID token 的声明；nil 不改。
	spoil func(claims map[string]any)
	// forge 以别的钥匙签。
	forge bool
	codes map[string]url.Values
	// refused 记下被拒的换取。
	refused []string
}

// New 起一个提供方，测试结束即停。
func New(t testing.TB) *Issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /keys", i.keys)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("GET /userinfo", i.userInfo)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	i.URL = s.URL
	return i
}

// Next 说下一个登录的人；userinfo 里的不在 ID token 里。
func (i *Issuer) Next(claims, userinfo map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.claims, i.userinfo, i.spoil, i.forge = claims, userinfo, nil, false
}

// Spoil 让此后的 ID token 不对。
func (i *Issuer) Spoil(f func(claims map[string]any)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.spoil = f
}

// Forge 让此后的 ID token 由别的钥匙签。
func (i *Issuer) Forge() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.forge = true
}

// Refused 是被拒的换取的缘由。
func (i *Issuer) Refused() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.refused...)
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
		"userinfo_endpoint": i.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	e := binary.BigEndian.AppendUint32(nil, uint32(i.key.E))[1:]
	answer(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1", "n": b64(i.key.N.Bytes()), "e": b64(e)}}})
}

// authorize 不问口令：登录的人由测试说。
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("state") == "" || q.Get("nonce") == "" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	i.mu.Lock()
	i.codes[code] = q
	i.mu.Unlock()
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	code := r.FormValue("code")
	asked := i.codes[code]
	delete(i.codes, code)
	id, secret, _ := r.BasicAuth()
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	why := ""
	switch {
	case asked == nil:
		why = "unknown code"
	case id != ClientID || secret != ClientSecret:
		why = "client"
	case b64(sum[:]) != asked.Get("code_challenge"):
		why = "verifier"
	case r.FormValue("redirect_uri") != asked.Get("redirect_uri"):
		why = "redirect_uri"
	}
	if why != "" {
		i.refused = append(i.refused, why)
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	now := time.Now()
	claims := map[string]any{"iss": i.URL, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "nonce": asked.Get("nonce")}
	for k, v := range i.claims {
		claims[k] = v
	}
	if i.spoil != nil {
		i.spoil(claims)
	}
	answer(w, http.StatusOK, map[string]any{"access_token": "planted-access-token", "token_type": "Bearer", "expires_in": 3600, "id_token": i.sign(claims)})
}

func (i *Issuer) userInfo(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer planted-access-token" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	info := map[string]any{"sub": i.claims["sub"]}
	for k, v := range i.userinfo {
		info[k] = v
	}
	answer(w, http.StatusOK, info)
}

func (i *Issuer) sign(claims map[string]any) string {
	key := i.key
	if i.forge {
		key = forged(i.key)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	text := b64([]byte(`{"alg":"RS256","kid":"k1","typ":"JWT"}`)) + "." + b64(body)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(sig)
}

// forged 是另一把同样大小的钥匙。
func forged(like *rsa.PrivateKey) *rsa.PrivateKey {
	for {
		k, err := rsa.GenerateKey(rand.Reader, like.N.BitLen())
		if err == nil && k.N.Cmp(new(big.Int).Set(like.N)) != 0 {
			return k
		}
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
