package e2e

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// issuer 是一个 OIDC 提供方：真的 HTTP、真的签名、核对 PKCE；登录的人由 allow 说。
type issuer struct {
	t     *testing.T
	url   string
	key   *rsa.PrivateKey
	mu    sync.Mutex
	codes map[string]granted
}

// granted 是许了的一次登录。
type granted struct {
	asked  url.Values
	claims doc
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, key: key, codes: map[string]granted{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		writeDoc(w, http.StatusOK, doc{"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token",
			"jwks_uri": i.url + "/keys", "id_token_signing_alg_values_supported": list{"RS256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		e := binary.BigEndian.AppendUint32(nil, uint32(key.E))[1:]
		writeDoc(w, http.StatusOK, doc{"keys": list{doc{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1", "n": b64(key.N.Bytes()), "e": b64(e)}}})
	})
	mux.HandleFunc("POST /token", i.token)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	i.url = s.URL
	return i
}

// env 是控制面的设置；浏览器的根只写进 redirect_uri，测试自己走回去。
func (i *issuer) env() []string {
	return []string{"VEGA_OIDC_ISSUER=" + i.url, "VEGA_OIDC_CLIENT_ID=vega", "VEGA_CONSOLE_URL=http://127.0.0.1:9080",
		"VEGA_OIDC_ADMINS=vega-admins", "VEGA_OIDC_VIEWERS=staff"}
}

// allow 是名叫 name、属于 group 的人在提供方登录了；asked 是带去的查询串，返回带回来的。
func (i *issuer) allow(asked url.Values, name, group string) url.Values {
	i.t.Helper()
	if asked.Get("client_id") != "vega" || asked.Get("code_challenge_method") != "S256" || asked.Get("redirect_uri") != "http://127.0.0.1:9080/api/v1/auth/oidc/callback" {
		i.t.Errorf("the browser came with %v", asked)
	}
	code := rand.Text()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.codes[code] = granted{asked, doc{"sub": "subject-" + name, "preferred_username": name, "groups": list{group}}}
	return url.Values{"code": {code}, "state": {asked.Get("state")}}
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	g, ok := i.codes[r.FormValue("code")]
	delete(i.codes, r.FormValue("code"))
	i.mu.Unlock()
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || b64(sum[:]) != g.asked.Get("code_challenge") || r.FormValue("redirect_uri") != g.asked.Get("redirect_uri") {
		writeDoc(w, http.StatusBadRequest, doc{"error": "invalid_grant"})
		return
	}
	now := time.Now()
	claims := doc{"iss": i.url, "aud": "vega", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "nonce": g.asked.Get("nonce")}
	for k, v := range g.claims {
		claims[k] = v
	}
	writeDoc(w, http.StatusOK, doc{"access_token": "unused", "token_type": "Bearer", "id_token": i.sign(claims)})
}

func (i *issuer) sign(claims doc) string {
	body, err := json.Marshal(claims)
	if err != nil {
		i.t.Error(err)
	}
	text := b64([]byte(`{"alg":"RS256","kid":"k1"}`)) + "." + b64(body)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		i.t.Error(err)
	}
	return text + "." + b64(signature)
}

func writeDoc(w http.ResponseWriter, status int, d doc) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(d)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
