package main

import (
	"fmt"
	"io"
)

// welcome 打印接下来能做什么：每一行都可以直接粘贴。
func welcome(w io.Writer, answer, key, tokenFile string) {
	fmt.Fprintf(w, `
Vega is up. A first chat completion has passed: %q

  Control plane  %s/   (admin API under /api/v1; the console comes later)
  Admin token    %s
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
`, answer, adminURL, tokenFile, apiURL, key, apiURL, key, demoModel, adminURL, tokenFile, tokenFile)
}
