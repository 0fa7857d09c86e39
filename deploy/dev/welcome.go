package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// greeting 是要告诉使用者的一切。
type greeting struct {
	// answer 是刚走通的一次对话；没有走通则为空，chatError 说为什么。
	answer, chatError string
	demo              demo
	// controlplane 是控制面的数据目录。
	controlplane string
}

// welcome 打印接下来能做什么：每一行都可以直接粘贴。
func welcome(w io.Writer, g greeting) {
	tokenFile := filepath.Join(g.controlplane, "admin-token")
	fmt.Fprintln(w, "\nVega is up."+g.passed())
	fmt.Fprintf(w, `
  Console        %s
  Sign in        %s
  API base URL   %s
  API key        %s
  Admin token    %s
`, door(g.controlplane), signIn(g.controlplane, tokenFile), apiURL, g.key(), tokenFile)
	if g.demo.Key != "" && g.chatError == "" {
		fmt.Fprintf(w, `
Try it:

  curl %s/chat/completions \
    -H "Authorization: Bearer %s" -H "Content-Type: application/json" \
    -d '{"model":"%s","stream":true,"messages":[{"role":"user","content":"Hello"}]}'
`, apiURL, g.demo.Key, demoModel)
	}
	fmt.Fprintf(w, `
Without the console:

  curl %s/api/v1/nodes -H "Authorization: Bearer $(cat %s)"
  VEGA_ADMIN_TOKEN_FILE=%s bin/controlplane apply -f %s --wait
`, adminURL, tokenFile, tokenFile, demoFile)
	g.changed(w)
	fmt.Fprint(w, "\nCtrl-C stops everything; data stays in .data/, and the next start leaves your configuration as it is.\n")
}

func (g greeting) passed() string {
	if g.answer == "" {
		return ""
	}
	return fmt.Sprintf(" A chat completion has passed: %q", g.answer)
}

// changed 说出与演示配置不同的地方：那是使用者的改动，不是错误。
func (g greeting) changed(w io.Writer) {
	if len(g.demo.Differences) == 0 && g.chatError == "" {
		return
	}
	fmt.Fprintf(w, "\nYour configuration is not the one of %s any more; nothing was changed:\n\n", demoFile)
	for _, line := range g.demo.Differences {
		fmt.Fprintln(w, "  -", line)
	}
	if g.chatError != "" {
		fmt.Fprintf(w, "  - the demo chat does not pass now: %s\n", g.chatError)
	}
}

// door 是从哪里进控制台：还没有人进去过就进首次引导，之后是总览。
func door(controlplane string) string {
	if oncePassword(controlplane) != "" {
		return adminURL + "/?guide=1"
	}
	return adminURL + "/"
}

// oncePassword 是还没有换掉的一次性口令；换掉之后控制面删去那个文件，为空。
func oncePassword(controlplane string) string {
	raw, err := os.ReadFile(oncePasswordFile(controlplane))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

func oncePasswordFile(controlplane string) string {
	return filepath.Join(controlplane, "admin-password")
}

// signIn 说怎样登录：一次性口令还没有换掉就连口令一起给。
func signIn(controlplane, tokenFile string) string {
	if once := oncePassword(controlplane); once != "" {
		return fmt.Sprintf("admin, one-time password %s (also in %s)", once, oncePasswordFile(controlplane))
	}
	return fmt.Sprintf("admin, with the password you chose; forgotten:\n                 VEGA_ADMIN_TOKEN_FILE=%s bin/controlplane user reset-password admin", tokenFile)
}

// key 不把已经知道不能用的钥匙说成能用。
func (g greeting) key() string {
	switch {
	case g.demo.Key == "":
		return "create one in the console"
	case g.chatError != "":
		return g.demo.Key + " (it does not work now, see below; create one in the console)"
	}
	return g.demo.Key
}
