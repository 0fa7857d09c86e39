package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// welcome 打印接下来能做什么：每一行都可以直接粘贴。
func welcome(w io.Writer, answer, key, tokenFile string) {
	fmt.Fprintf(w, `
Vega is up. A first chat completion has passed: %q

  Console        %s/
  Sign in as     %s
  Admin token    %s   (for the admin API under /api/v1)
  API base URL   %s
  API key        %s

Try it:

  curl %s/chat/completions \
    -H "Authorization: Bearer %s" -H "Content-Type: application/json" \
    -d '{"model":"%s","stream":true,"messages":[{"role":"user","content":"Hello"}]}'

  curl %s/api/v1/nodes -H "Authorization: Bearer $(cat %s)"

Change deploy/demo/vega.yaml and apply it without a restart:

  VEGA_ADMIN_TOKEN_FILE=%s bin/controlplane apply -f deploy/demo/vega.yaml --wait

Ctrl-C stops everything; data stays in .data/. Each start applies deploy/demo/vega.yaml again: what it names goes back to what it says.
`, answer, adminURL, signIn(filepath.Dir(tokenFile)), tokenFile, apiURL, key, apiURL, key, demoModel, adminURL, tokenFile, tokenFile)
}

// signIn 说以谁、用什么登录控制台。一次性口令还没有换掉时，控制面把它留在自己的数据目录里。
func signIn(controlplane string) string {
	once, err := os.ReadFile(filepath.Join(controlplane, "admin-password"))
	if err != nil {
		return "admin, with your password   (lost? VEGA_ADMIN_TOKEN_FILE=" + filepath.Join(controlplane, "admin-token") + " bin/controlplane user reset-password admin)"
	}
	return "admin, with the one-time password " + strings.TrimSpace(string(once))
}
